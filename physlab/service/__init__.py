"""One function for each public method: parameters in, reply out.

A method's module is loaded when the method is used first: a command that lists versions needs neither planner nor
sites. `__init__.pyi` says which methods there are.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
