"""`python -m regnal` is the same as `regnal`."""

from regnal.cli.main import main

if __name__ == "__main__":
    main()
