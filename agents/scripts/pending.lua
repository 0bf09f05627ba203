-- Looks up pending entries by their 8-byte big-endian hashes, concatenated in one argument.
-- KEYS: start of the bucket keys. ARGV: buckets, hashes.
-- Returns one string, for the client's sake: length (4 bytes; all ones: none) and value of each.
local found, none, width = {}, string.rep('\255', 4), 65536 / tonumber(ARGV[1])
local get, byte, sub, pack = redis.call, string.byte, string.sub, struct.pack
for i = 1, #ARGV[2], 8 do
  local a, b = byte(ARGV[2], i, i + 1)
  local bucket = KEYS[1] .. math.floor((a * 256 + b) / width)
  local value = get('HGET', bucket, sub(ARGV[2], i, i + 7))
  found[#found + 1] = value and pack('>I4', #value) .. value or none
end
return table.concat(found)
