"""Finds out why nova-cachemig does not work: many small checks, each with its remedy.

* ``verdict``: the result of a check: a status, a sentence, a remedy.
* ``runner``: runs the checks one after the other, each with a deadline.
* ``registry``: the list of subjects.
* ``context``: the configuration files.
* Each other module is a subject. It has a function ``checks`` and does the I/O.
* ``verdicts``: one module per subject decides, without I/O.

A check only reads. The exception is :mod:`.bus`, which declares two queues in RabbitMQ to
find out the rights of the user, and deletes them.
"""
