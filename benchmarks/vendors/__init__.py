"""Our adapters beside the vendors' own SDKs and beside bare aiohttp and json."""
