"""17TRACK's shapes; nothing else knows them. Pure: used by API, webhook body, upstream carrier and client."""
