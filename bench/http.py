"""The service through HTTP; `_http.py` measures and explains the figures.

Where a script of this folder runs, Python looks for modules in this folder first, and `http` would be this file instead
of the standard library's package. So this file takes the folder off the path and, where it was asked for in the
package's name, gives the package.
"""

import importlib
import sys

_HERE = __file__.rpartition("/")[0]
sys.path[:] = [place for place in sys.path if place != _HERE]

if __name__ == "__main__":
    importlib.import_module("bench._http").main()
elif __name__ == "http":
    del sys.modules["http"]
    importlib.import_module("http")
