"""ElastiCache and MemoryDB: the operations that moto lacks, in front of real servers.

A change of a user or an AUTH token takes effect on the server behind the cache, after as many descriptions as
`Options.cache_delay` says. So a test decides when a change ends, without waiting.

`elasticache` and `memorydb` import moto's models, which takes a second. They are
imported at the first request for the service.
"""
