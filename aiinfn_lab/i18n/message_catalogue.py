"""The one table of messages of the Lab half: each code with its English sentence; see :mod:`.messages`.

A code is never given another meaning: clients hold on to it. ``make messages`` finds the sentences here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiinfn_hub.contract.templates import NOTHING, Template, counted, table, template

_GENERAL: Final = (
    Template(NOTHING, ""),
    # What others say in their own words.
    template("text", "{text}"),
    template("noun.notebook", "notebook"),
    template("noun.script", "script"),
    template("noun.command", "command"),
)

_ENVIRONMENT: Final = (
    template(
        "check.kernel.other_image",
        "The job gets another environment than this session, so kernel and packages cannot be looked at from here.",
    ),
    template("check.kernel.no_bash", "This environment has no bash, which runs the command."),
    template("check.kernel.bash", "This environment has bash, which runs the command."),
    template("check.kernel.no_program", "This environment has no {program}, which runs the script."),
    template("check.kernel.program", "This environment has {program}, which runs the script."),
    template("check.kernel.none", "The notebook has no kernel."),
    template("check.kernel.missing", "This environment has no kernel {kernel}, which the notebook asks for."),
    template("check.kernel.there", "This environment has its kernel, {kernel}."),
    template(
        "check.packages.unknown",
        "Whether the packages that it imports are there could not be found out: {packages:names}.",
    ),
    counted(
        "check.packages.missing",
        "This environment has no package {packages:names}, which the {noun} imports.",
        "This environment has no packages {packages:names}, which the {noun} imports.",
        count="number",
    ),
    counted(
        "check.packages.missing_in_part",
        "This environment has no package {packages:names}, which a part of the {noun} imports.",
        "This environment has no packages {packages:names}, which a part of the {noun} imports.",
        count="number",
    ),
    counted(
        "check.packages.installs",
        "This environment has no package {packages:names} now; the {noun} installs packages itself.",
        "This environment has no packages {packages:names} now; the {noun} installs packages itself.",
        count="number",
    ),
    counted(
        "check.packages.there",
        "The package that it imports is there.",
        "All {number:number} packages that it imports are there.",
        count="number",
    ),
)

_CODE: Final = (
    template("check.code.values", "The notebook gets {values}."),
    template(
        "check.code.derived",
        "{name} is computed from {source} in the cell with the parameters, before the {source} that you give is set: "
        "it keeps its value.",
    ),
    template("check.code.line_ends", "{file} has Windows line ends, with which bash fails."),
    template(
        "check.code.encoding",
        "{file} is not in UTF-8 and does not say what it is in, so Python cannot read it.",
    ),
    template("check.code.cell_asks.input", "Cell {cell} asks for input, which nobody gives to a job."),
    template("check.code.cell_asks.getpass", "Cell {cell} asks for a password, which nobody gives to a job."),
    template(
        "check.code.line_asks.input", "Line {line} of {file} asks for input, which nobody gives to a job."
    ),
    template(
        "check.code.line_asks.getpass",
        "Line {line} of {file} asks for a password, which nobody gives to a job.",
    ),
    template(
        "check.code.line_asks.get_ipython",
        "Line {line} of {file} calls get_ipython, which there is in notebooks only.",
    ),
    template("check.code.cell_unread", "Cell {cell} cannot be read as Python (line {line})."),
    template(
        "check.code.cells_unread",
        "Cell {cell} cannot be read as Python (line {line}), nor can {more:number} more.",
    ),
    template("check.code.not_python", "Line {line} of {file} is not Python."),
    template("check.code.partial", "The {noun} is so long that not all of it was looked at."),
)

_FILES: Final = (
    counted(
        "check.files.missing",
        "It mentions {files:names}, which is not there now.",
        "It mentions {files:names}, which are not there now.",
        count="number",
    ),
    counted(
        "check.files.missing_of_many",
        "It mentions {files:names}, which is not there now. Not all names were looked for.",
        "It mentions {files:names}, which are not there now. Not all names were looked for.",
        count="number",
    ),
    counted(
        "check.files.left_out",
        "It mentions {files:names}, which is left out of the copy.",
        "It mentions {files:names}, which are left out of the copy.",
        count="number",
    ),
    counted(
        "check.files.own",
        "It reads {files:names}, which belongs to this session alone; a job may not see it.",
        "It reads {files:names}, which belong to this session alone; a job may not see them.",
        count="number",
    ),
    counted(
        "check.files.there",
        "The file that it reads by name is there.",
        "All {number:number} files that it reads by name are there.",
        count="number",
    ),
    counted(
        "check.files.unreadable",
        "{files:names} cannot be read and is left out.",
        "{files:names} cannot be read and are left out.",
        count="number",
    ),
    counted(
        "folder.copied",
        "A copy of the folder is made: {number:number} file, {size:bytes}.",
        "A copy of the folder is made: {number:number} files, {size:bytes}.",
        count="number",
    ),
    counted(
        "folder.copied_in_part",
        "A copy of the folder is made: {number:number} file, {size:bytes}. Left out: {left_out:names}.",
        "A copy of the folder is made: {number:number} files, {size:bytes}. Left out: {left_out:names}.",
        count="number",
    ),
    counted(
        "folder.linked",
        "Too large to be copied: {entries:names}. The job works with the original of it.",
        "Too large to be copied: {entries:names}. The job works with the original of them.",
        count="number",
    ),
    template("folder.entry.many_files", "{path} (many files)"),
    template("folder.entry.size", "{path} ({size:bytes})"),
)

_OUTPUT: Final = (
    template("check.output.no_place", "The folder {folder} cannot be written, so the result has no place."),
    template(
        "check.output.beside",
        "The result appears beside it as {result}, with the job's ID. Nothing is overwritten.",
    ),
    template(
        "check.output.copy",
        "The job runs in the copy {folder}.ID/, with its ID, beside the folder. What it writes stays there; "
        "nothing is overwritten.",
    ),
    template(
        "check.output.copies",
        "Each point runs in a copy of its own, {folder}.ID/0001/ and so on, beside the folder. What it writes stays "
        "there; nothing is overwritten.",
    ),
    template(
        "check.output.no_room",
        "The copies of the folder need {needed:bytes}, and {free:bytes} are free.",
    ),
    template("check.output.little_room", "Only {free:bytes} are free where the result is to appear."),
    template(
        "check.output.overwritten", "Every point of the sweep writes {files:names}, one over the other."
    ),
)

_KERNEL_STATE: Final = (
    template(
        "state.needed_not_carried",
        "The cells from here on seem to use {names:names}, which cannot be carried.",
    ),
    template(
        "state.history",
        "The cells from here on use {names:names}: earlier inputs and outputs are not carried.",
    ),
    template(
        "state.unsure",
        "Some variables are so large or slow that it was not tried to write and to read them to the end.",
    ),
    template(
        "state.gpu",
        "Some variables are in the memory of a GPU. They come back to one if the job has one, else to the CPU's.",
    ),
    template(
        "state.dynamic",
        "The cells from here on look up names while they run, so what they need is not sure.",
    ),
)

_VARIABLES: Final = (
    # Why a variable is not carried; the codes come from `kernel_state.kernel_side`, which cannot import this table.
    template("variable.is", "It is {what}."),
    template("variable.holds", "It holds {what}."),
    template("variable.nested", "It is nested too deeply."),
    template("variable.not_read_back", "It can be written but not read back: {error}."),
    template("variable.ends_process", "It can be written but not read back: reading it ends the process."),
    template("variable.unread", "It cannot be read here: {error}."),
    template(
        "variable.unread_shared",
        "It cannot be read here: it shares something with another that cannot be read.",
    ),
    template("variable.left_out", "It was left out when the job was submitted."),
    template("thing.file", "an open file"),
    template("thing.generator", "a generator, whose place in its code cannot be written down"),
    template("thing.coroutine", "a coroutine, which only this process can go on with"),
    template("thing.lock", "a lock of this process"),
    template("thing.queue", "a queue between threads or processes"),
    template("thing.thread", "a thread of this process"),
    template("thing.future", "a result that another thread or process still has to give"),
    template("thing.process", "another process that this one has started"),
    template("thing.connection", "a connection, which ends with this process"),
    template("thing.mapped", "memory that this process has mapped"),
    template("thing.frame", "a place in running code"),
    template("thing.widget", "a widget of this page"),
    template("thing.object", "an object of the type {type}, which only this process has"),
)

_APPS: Final = (
    template("app.not_installed", "{title} is not installed any more: there is no program “{program}”."),
    template("app.not_started", "{title} could not be started: {reason}."),
    template("app.ended", "{title} ended at its start (status {status})."),
    template("app.silent_start", "{title} did not begin to listen within {seconds:number} s."),
    template("app.no_answer", "{title} does not answer."),
    template("app.other_page", "This request comes from a page that is not of this app."),
)

CATALOGUE: Final[Mapping[str, Template]] = table(
    _GENERAL, _ENVIRONMENT, _CODE, _FILES, _OUTPUT, _KERNEL_STATE, _VARIABLES, _APPS
)
