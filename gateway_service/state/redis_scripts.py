"""The steps that must be one for everybody else, in Lua. Every time in them is the server's, in microseconds."""

from typing import Final

_NOW: Final = """
    local time = redis.call('TIME')
    local now_us = time[1] * 1000000 + time[2]
    local function whole(number) return string.format('%.0f', number) end
"""

# KEYS: epoch, permits. ARGV: the epoch that the caller knows, empty when it knows none; a new one, its life (ms),
# spacing (us), for how long a key may be taken (us). Returns the epoch of the server alone when it has nothing, or lost
# what the caller knew of. Then nobody gets a permit until all services have noticed, which they do within the spacing,
# and have written their permits again. A server that never had anything looks the same.
_EPOCH: Final = (
    _NOW
    + """
    local epoch, held_us = redis.call('GET', KEYS[1]), tonumber(ARGV[5])
    if not epoch or (ARGV[1] ~= '' and epoch ~= ARGV[1]) then
        if not epoch then
            epoch = ARGV[2]
            redis.call('SET', KEYS[1], epoch, 'PX', ARGV[3])
        end
        redis.call('ZADD', KEYS[2], whole(now_us + ARGV[4]), 'all')
        redis.call('PEXPIRE', KEYS[2], held_us / 1000)
        return {epoch}
    end
"""
)

# KEYS: epoch, permits. ARGV: as above, with no epoch.
OPEN: Final = _EPOCH + "    return {epoch}\n"

# KEYS: epoch, permits. ARGV: as above; then life of ledgers (ms), number of sessions, of forgotten ones, of ledgers;
# then for each session its key, permit, id, sequence and text; for each forgotten one its key and permit; for each
# ledger its key, the key of the ages, the index, its name in there, its session, when that was opened, its text and how
# many to keep, which is 0 while it is not ended.
SAVE: Final = (
    _EPOCH
    + """
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    local at, newer, stays = 10, {epoch}, {}
    for _ = 1, ARGV[7] do
        local key, permit, id, seq, text = unpack(ARGV, at, at + 4)
        at = at + 5
        local known = redis.call('HMGET', key, 'permit', 'id', 'seq')
        local known_permit, known_seq = tonumber(known[1] or -1), tonumber(known[3] or -1)
        if known_permit > tonumber(permit)
            or (known_permit == tonumber(permit) and known[2] == id and known_seq > tonumber(seq)) then
            newer[#newer + 1] = key
            stays[key] = true
        else
            redis.call('HSET', key, 'permit', permit, 'id', id, 'seq', seq, 'text', text)
            redis.call('PEXPIRE', key, ARGV[3])
        end
    end
    for _ = 1, ARGV[8] do
        local known_permit = redis.call('HGET', ARGV[at], 'permit')
        if known_permit and tonumber(known_permit) <= tonumber(ARGV[at + 1]) then redis.call('DEL', ARGV[at]) end
        at = at + 2
    end
    for _ = 1, ARGV[9] do
        local key, ages, index, name, session, opened_at, text, kept, of = unpack(ARGV, at, at + 8)
        at = at + 9
        if kept ~= '0' or not stays[of] then
            redis.call('HSET', key, session, text)
            redis.call('ZADD', ages, opened_at, session)
            redis.call('SADD', index, name)
        end
        if kept ~= '0' then
            for _, old in ipairs(redis.call('ZRANGE', ages, 0, -kept - 1)) do
                redis.call('HDEL', key, old)
                redis.call('ZREM', ages, old)
            end
        end
        for _, each in ipairs({key, ages, index}) do redis.call('PEXPIRE', each, ARGV[6]) end
    end
    return newer
"""
)

# KEYS: epoch, permits, identifies. ARGV: as above; then the highest number that the caller knows.
IDENTIFIES: Final = (
    _EPOCH
    + """
    return {epoch, whole(now_us), redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[6], '+inf')}
"""
)

# KEYS: epoch, permits, identifies. ARGV: as above; then shard, shard count, max_concurrency, the highest number that
# the caller knows, life of a record (ms), how many are kept.
TAKE: Final = (
    _EPOCH
    + """
    local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
    local known = math.max(tonumber(last or 0), tonumber(ARGV[9]))
    if known > tonumber(ARGV[9]) then return {epoch, 'outdated'} end
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now_us))
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '(' .. whole(now_us + held_us), '+inf')  -- the clock was set back
    local taken, free_at = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'), 0
    for i = 1, #taken, 2 do
        local shard = string.match(taken[i], '^%d+')
        if not shard or shard % ARGV[8] == ARGV[6] % ARGV[8] then
            free_at = math.max(free_at, tonumber(taken[i + 1]))
        end
    end
    if free_at > 0 then return {epoch, 'busy', whole(free_at - now_us)} end
    local number = whole(math.max(known + 1, now_us))
    redis.call('ZADD', KEYS[3], number, ARGV[6] .. ':' .. ARGV[7] .. ':' .. number)
    redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -ARGV[11] - 1)
    redis.call('PEXPIRE', KEYS[3], ARGV[10])
    redis.call('ZADD', KEYS[2], whole(now_us + held_us), ARGV[6] .. ':' .. number)
    redis.call('PEXPIRE', KEYS[2], held_us / 1000)
    return {epoch, 'taken', number}
"""
)

# KEYS: epoch, permits, identifies, desired. ARGV: as above; then life of a record (ms), number of records, of permits
# that are held; then for each record its shard, shard count and number; for each permit its number and shard; then
# names and values that are desired. What is there stays.
RESTORE: Final = (
    _EPOCH
    + """
    local at = 9
    for _ = 1, ARGV[7] do
        local shard, count, number = unpack(ARGV, at, at + 2)
        at = at + 3
        redis.call('ZADD', KEYS[3], 'NX', number, shard .. ':' .. count .. ':' .. number)
        redis.call('PEXPIRE', KEYS[3], ARGV[6])
    end
    for _ = 1, ARGV[8] do
        redis.call('ZADD', KEYS[2], 'NX', whole(ARGV[at] + held_us), ARGV[at + 1] .. ':' .. ARGV[at])
        redis.call('PEXPIRE', KEYS[2], held_us / 1000)
        at = at + 2
    end
    for i = at, #ARGV, 2 do redis.call('HSETNX', KEYS[4], ARGV[i], ARGV[i + 1]) end
    return {epoch}
"""
)

# KEYS: permits. ARGV: shard and number of the permit, spacing (us), for how long a key may be taken (ms).
USED: Final = (
    _NOW
    + """
    redis.call('ZADD', KEYS[1], whole(now_us + ARGV[2]), ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""
)

# KEYS: those of some shards. ARGV: the owner, life of a claim (ms). Takes all of them, or tells which others have.
CLAIM: Final = """
    local taken = {}
    for _, key in ipairs(KEYS) do
        local owner = redis.call('GET', key)
        if owner and owner ~= ARGV[1] then taken[#taken + 1] = key end
    end
    if #taken == 0 then
        for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
    end
    return taken
"""

# KEYS: those of some shards. ARGV: the owner, life of a claim (ms). Another's claim is left alone.
RENEW_CLAIMS: Final = """
    for _, key in ipairs(KEYS) do
        local owner = redis.call('GET', key)
        if not owner or owner == ARGV[1] then redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
    end
"""

# KEYS: those of some shards. ARGV: the owner.
RELEASE_CLAIMS: Final = """
    for _, key in ipairs(KEYS) do
        if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
    end
"""
