"""The Space: `python app.py` serves the page as `fer-space app` does (`fer_space/commands/app.py`)."""

import sys

from fer_space.cli import main

if __name__ == "__main__":
    sys.exit(main(["app"]))
