"""``python -m parcelwire``."""

from parcelwire.cli.main import main

main()
