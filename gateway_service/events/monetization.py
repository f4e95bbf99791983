"""Entitlements and subscriptions. See https://docs.discord.com/developers/resources/entitlement."""

from typing import NotRequired, TypedDict

from gateway_service.events.users import Snowflake, Timestamp


class Entitlement(TypedDict):
    """What a user or guild has bought or been given."""

    id: Snowflake
    sku_id: Snowflake
    application_id: Snowflake
    user_id: NotRequired[Snowflake]
    type: int
    deleted: bool
    starts_at: Timestamp | None
    ends_at: Timestamp | None
    guild_id: NotRequired[Snowflake]
    consumed: NotRequired[bool]


class EntitlementCreate(Entitlement):
    """ENTITLEMENT_CREATE."""


class EntitlementUpdate(Entitlement):
    """ENTITLEMENT_UPDATE."""


class EntitlementDelete(Entitlement):
    """ENTITLEMENT_DELETE."""


class Subscription(TypedDict):
    """A recurring payment. See https://docs.discord.com/developers/resources/subscription."""

    id: Snowflake
    user_id: Snowflake
    sku_ids: list[Snowflake]
    entitlement_ids: list[Snowflake]
    renewal_sku_ids: NotRequired[list[Snowflake] | None]
    current_period_start: Timestamp
    current_period_end: Timestamp
    status: int
    canceled_at: Timestamp | None
    country: NotRequired[str]


class SubscriptionCreate(Subscription):
    """SUBSCRIPTION_CREATE."""


class SubscriptionUpdate(Subscription):
    """SUBSCRIPTION_UPDATE."""


class SubscriptionDelete(Subscription):
    """SUBSCRIPTION_DELETE."""
