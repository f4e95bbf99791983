"""Spawns the shard processes of a bot, hands out identify permits, restarts what dies, drains at the end."""

from gateway_service.supervisor.gateway_info import GatewayInfo, Patience, fetch_gateway_info
from gateway_service.supervisor.policy import Policy
from gateway_service.supervisor.status import BudgetStatus, ProcessSnapshot, Snapshot
from gateway_service.supervisor.supervisor import Supervisor

__all__ = [
    "BudgetStatus",
    "GatewayInfo",
    "Patience",
    "Policy",
    "ProcessSnapshot",
    "Snapshot",
    "Supervisor",
    "fetch_gateway_info",
]
