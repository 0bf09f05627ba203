-- Removes what a crashed or abandoned attempt had staged.
-- KEYS: meta, staged, redo chunks, outbox bodies. ARGV: owner, id.
-- An id leaves `staged` when it is committed, so bodies that the outbox still needs are safe.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 'epoch' end
if redis.call('SREM', KEYS[2], ARGV[2]) == 1 then redis.call('UNLINK', KEYS[3], KEYS[4]) end
return 'ok'
