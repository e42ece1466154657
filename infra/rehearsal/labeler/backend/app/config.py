"""Settings: the process environment wins over backend/.env, which wins over the defaults here."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

BACKEND = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=BACKEND / ".env",
        env_file_encoding="utf-8",
        extra="ignore",
    )

    app_name: str = "Vision Labeler"
    log_level: str = "INFO"
    secret_key: str = "change_me"
    redis_url: str = "redis://localhost:6379/0"

    platform_db_host: str = "localhost"
    platform_db_port: int = 5432
    platform_db_name: str = "platform"
    platform_db_user: str = "admin"
    platform_db_password: str = ""

    user_db_host: str = "localhost"
    user_db_port: int = 5432
    user_db_name: str = "users"
    user_db_user: str = "admin"
    user_db_password: str = ""

    labeler_db_host: str = "localhost"
    labeler_db_port: int = 5432
    labeler_db_name: str = "labeler"
    labeler_db_user: str = "admin"
    labeler_db_password: str = ""

    def url(self, prefix: str) -> URL:
        """The connection URL of `platform_db`, `user_db` or `labeler_db`."""
        return URL.create(
            "postgresql+psycopg2",
            username=getattr(self, prefix + "_user"),
            password=getattr(self, prefix + "_password"),
            host=getattr(self, prefix + "_host"),
            port=getattr(self, prefix + "_port"),
            database=getattr(self, prefix + "_name"),
        )


settings = Settings()
