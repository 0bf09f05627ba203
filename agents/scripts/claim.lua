-- Takes a partition over: a new epoch, an owner token that nobody else has, and what there is.
-- KEYS: meta, staged, claims. ARGV: nonce, most orphans to name, most claims to remember.
-- Returns {owner, epoch, seq, next, topic_id, redo, redo_chunks, pending, buckets, head, tail, orphans}.
-- The nonce is part of the token because a Redis restored from a snapshot hands out old epochs again.
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
local owner = string.format('%.0f', epoch) .. ':' .. ARGV[1]
redis.call('HSET', KEYS[1], 'owner', owner)
local m = redis.call('HMGET', KEYS[1], 'seq', 'next', 'topic_id', 'redo', 'redo_chunks', 'pending',
  'buckets', 'head', 'tail')
-- An owner that made no checkpoint leaves nothing behind, and its place to the next one.
local first = string.format('%.0f', tonumber(m[1] or '0') + 1)
redis.call('ZREMRANGEBYSCORE', KEYS[3], first, '+inf')
redis.call('ZADD', KEYS[3], first, owner)
if redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[3])) > 0 then
  local oldest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  redis.call('HSET', KEYS[1], 'remembered', oldest[2])
end
local orphans = redis.call('SRANDMEMBER', KEYS[2], ARGV[2])
return {owner, epoch, m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], orphans}
