"""Sentences of the Lab half: catalogues, the table of messages, and how numbers are written.

It has a catalogue of its own, with gettext and Babel as the hub half, and not JupyterLab's translation machinery: that speaks one
language for the whole server, finds catalogues in language packs only, and is not there for the command line.
"""
