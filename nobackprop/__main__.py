"""`python -m nobackprop`: the command line."""
import sys

if __name__ == "__main__":
    try:
        from .cli import main
    except KeyboardInterrupt:  # Ctrl-C before there is anything to end
        sys.exit(130)
    sys.exit(main())
