from agent_sdk.config.documents import MAX_DOCUMENT_BYTES, Document, read_document
from agent_sdk.config.findings import BadSetting, Origin, SettingsInvalid, mask_url
from agent_sdk.config.load import LoadedSettings, examine_settings, load_settings
from agent_sdk.config.marks import DocumentError, Place
from agent_sdk.config.secret import Secret, SecretLiteral, SecretRef, SecretUnresolved
from agent_sdk.config.settings import (
    BreakerSettings,
    LimitSettings,
    LoggingSettings,
    ModelCallSettings,
    RateLimitSettings,
    Settings,
    ThreadSettings,
)
from agent_sdk.config.show import SettingRow, show_settings
from agent_sdk.config.sources import read_environ
from agent_sdk.config.vendors import AnthropicSettings, GeminiSettings, OpenAISettings, VendorSettings

__all__ = [
    "MAX_DOCUMENT_BYTES",
    "AnthropicSettings",
    "BadSetting",
    "BreakerSettings",
    "Document",
    "DocumentError",
    "GeminiSettings",
    "LimitSettings",
    "LoadedSettings",
    "LoggingSettings",
    "ModelCallSettings",
    "OpenAISettings",
    "Origin",
    "Place",
    "RateLimitSettings",
    "Secret",
    "SecretLiteral",
    "SecretRef",
    "SecretUnresolved",
    "SettingRow",
    "Settings",
    "SettingsInvalid",
    "ThreadSettings",
    "VendorSettings",
    "examine_settings",
    "load_settings",
    "mask_url",
    "read_document",
    "read_environ",
    "show_settings",
]
