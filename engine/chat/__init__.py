"""Chat: from a conversation to one prompt text, and from the model's bytes back to readable text.

What runs where: the **worker process** renders (`template`), counts and fits (`context`), joins UTF-8 and looks for
stop strings (`stream.Utf8Stream`, `stream.StopMatcher`), because it has the vocabulary and the model's own template,
and because a template is foreign code: whatever a hostile one still manages to hold up, it holds up a process that can
be killed. The **window** only splits thinking from answer (`stream.ThinkingSplitter`) and lints templates in a job.

Importing this room imports no Jinja2; it is loaded by the first template that is compiled.
"""
