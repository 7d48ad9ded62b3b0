"""The topic of Kafka that events come through, where the settings name one (docs/decisions/1664)."""
