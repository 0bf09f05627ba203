-- The first entries of the outbox, for the owner only.
-- KEYS: meta, outbox. ARGV: owner, most entries. Returns {'ok' | 'epoch', head, entries}.
local m = redis.call('HMGET', KEYS[1], 'owner', 'head')
if m[1] ~= ARGV[1] then return {'epoch', 0, {}} end
return {'ok', tonumber(m[2] or '0'), redis.call('LRANGE', KEYS[2], 0, tonumber(ARGV[2]) - 1)}
