"""How clients of Kafka connect: the addresses of the settings, and further properties of librdkafka from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

ANSWER_SECONDS = 5
"""How long an answer of a broker is waited for."""


def connection(settings: Settings) -> dict[str, str]:
    """Properties of every client: where the brokers are, and what the file of properties says.

    Raises:
        RefusalError: ``bad_setting``: the file cannot be read, or one of its lines is no property.
    """
    found = {"client.id": "valueverse", "log_level": "2"} | _properties(settings)
    return found | {"bootstrap.servers": settings.kafka_brokers or ""}


def _properties(settings: Settings) -> dict[str, str]:
    path = settings.kafka_properties
    if path is None:
        return {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RefusalError("bad_setting", f"{path} cannot be read: {error}", "VALUEVERSE_KAFKA_PROPERTIES") from error
    found = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            # The line may hold a password: it is not repeated.
            message = f"{path}, line {number}: write name=value, as sasl.mechanism=SCRAM-SHA-512"
            raise RefusalError("bad_setting", message, "VALUEVERSE_KAFKA_PROPERTIES")
        found[name.strip()] = value.strip()
    return found


def refusal(error: KafkaException | TimeoutError) -> RefusalError:
    """A failure of Kafka as a refusal."""
    problem = error.args[0] if isinstance(error, KafkaException) and error.args else None
    reason = problem.str() if problem is not None else "no answer"
    cure = "check VALUEVERSE_KAFKA_BROKERS and the brokers; nothing that waits there is lost"
    message = f"Kafka does not answer: {reason}; {cure}"
    return RefusalError("kafka_unavailable", message)
