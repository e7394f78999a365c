"""The REST API ``nova-cachemig-api``: services, handovers and writes in doubt, by project.

``call``, ``schema``, ``paging``, ``errors``, ``versions`` and ``policies`` declare and decide,
without I/O. One module per noun (``services``, ``handovers``, ``writes``) has its calls. ``state``
asks the agent over RPC, ``owners`` asks Nova, and ``app`` connects them to WSGI.
"""
