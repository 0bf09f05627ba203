-- Takes a partition over: a new epoch, an owner token that nobody else has, and what there is.
-- KEYS: meta, staged. ARGV: nonce, most orphans to name.
-- Returns {owner, epoch, seq, next, topic_id, redo, redo_chunks, pending, buckets, head, tail, orphans}.
-- The nonce is part of the token because a Redis restored from a snapshot hands out old epochs again.
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
local owner = string.format('%.0f', epoch) .. ':' .. ARGV[1]
redis.call('HSET', KEYS[1], 'owner', owner)
local m = redis.call('HMGET', KEYS[1], 'seq', 'next', 'topic_id', 'redo', 'redo_chunks', 'pending',
  'buckets', 'head', 'tail')
local orphans = redis.call('SRANDMEMBER', KEYS[2], ARGV[2])
return {owner, epoch, m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], orphans}
