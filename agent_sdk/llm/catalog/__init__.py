from agent_sdk.llm.catalog.builtin import builtin_source
from agent_sdk.llm.catalog.check import Asks, check_settings, default_output_mode
from agent_sdk.llm.catalog.entries import Allowed, CacheKind, Capabilities, Catalog, CatalogEntry, Prices, Rates
from agent_sdk.llm.catalog.parse import CatalogInvalid, CatalogSource

__all__ = [
    "Allowed",
    "Asks",
    "CacheKind",
    "Capabilities",
    "Catalog",
    "CatalogEntry",
    "CatalogInvalid",
    "CatalogSource",
    "Prices",
    "Rates",
    "builtin_source",
    "check_settings",
    "default_output_mode",
]
