-- Looks up pending entries by their 8-byte big-endian hashes, concatenated in one argument.
-- KEYS: meta, start of the bucket keys. ARGV: hashes, owner or '' for one who only looks.
-- Returns one string, for the client's sake: length (4 bytes; all ones: none) and value of each.
-- Nothing where another owns the partition: its entries speak of what this one has never seen.
if ARGV[2] ~= '' and redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then return false end
local found, none = {}, string.rep('\255', 4)
local known = buckets(KEYS[1], KEYS[2])
local get, sub, pack = redis.call, string.sub, struct.pack
for i = 1, #ARGV[1], 8 do
  local hash = sub(ARGV[1], i, i + 7)
  local value = get('HGET', known:key(hash), hash)
  found[#found + 1] = value and pack('>I4', #value) .. value or none
end
return table.concat(found)
