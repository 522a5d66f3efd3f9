"""The playground, as a Space starts it."""

import sys

from spectrum_suite.commands.demo import main

if __name__ == "__main__":
    main(sys.argv[1:], "python app.py")
