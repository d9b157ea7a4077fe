"""Keys in environment variables."""

from __future__ import annotations

from dicomnode.config.environment import unknown, unread, variable_of
from dicomnode.config.settings import Settings

SCHEMA = Settings.model_json_schema()


def test_one_underscore_too_few_is_told_and_refuses_nothing() -> None:
    environment = {"DICOMNODE_NODE_DATABASE_URL": "x", "DICOMNODE_SERVICE_HOST": "10.0.0.1"}
    assert unknown(environment, SCHEMA) == ()
    assert unread(environment, SCHEMA) == (
        "the environment variable DICOMNODE_NODE_DATABASE_URL is not read: that of the key is "
        "DICOMNODE_NODE__DATABASE_URL",
    )


def test_a_key_within_a_table_has_a_variable_too() -> None:
    assert variable_of("receive.tls.port") == "DICOMNODE_RECEIVE__TLS__PORT"
