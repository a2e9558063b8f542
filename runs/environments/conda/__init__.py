"""Packages from conda channels, through py-rattler.

``specs``, ``channels``, ``yaml_text`` and ``file`` read what is asked for and ``wishes`` holds it together; ``reach``
asks the channels and ``plan`` decides where packages come from, with ``fallback`` for PyPI in their place; ``building``
is the build's part, with ``running`` and ``answers`` for ``program``, which alone works with rattler and runs with a
build's rights; ``records`` is conda's part of a lock, ``failures`` puts errors into sentences.
"""
