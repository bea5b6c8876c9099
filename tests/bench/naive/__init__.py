"""The reference: the same corridor as a Django view that anybody would write first.

One transaction a request, the counters read with `select_for_update`, saved one by
one through the ORM. It writes the same rows into the same tables, and it is given
every help that costs nothing: no middleware, a pool of connections, the fastest way
there is to serve Django.
"""
