"""Tools that speak HTTP with the places of an allow list, and with nobody else."""

from agent_sdk.tools.http.failures import CertificateRefused, HttpBusy, HttpFailed, HttpTooLarge, HttpUnreachable, UrlRefused
from agent_sdk.tools.http.network import Network
from agent_sdk.tools.http.replies import HttpReply
from agent_sdk.tools.http.tools import Http

__all__ = [
    "CertificateRefused",
    "Http",
    "HttpBusy",
    "HttpFailed",
    "HttpReply",
    "HttpTooLarge",
    "HttpUnreachable",
    "Network",
    "UrlRefused",
]
