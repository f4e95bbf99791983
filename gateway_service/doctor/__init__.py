"""Is everything there that a start needs? Each check answers with one finding, and each bad finding with a cure."""

from gateway_service.doctor.checks import examine
from gateway_service.doctor.findings import Finding, exit_code_of

__all__ = ["Finding", "examine", "exit_code_of"]
