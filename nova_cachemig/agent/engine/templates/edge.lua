-- Holds requests at the edge, and does what a map lookup alone cannot do.
-- The agent renders the first lines, which define the paths of the maps and the limits.

local state = Map.new(STATE_MAP, Map._str)
local pending = Map.new(PENDING_MAP, Map._str)
local cookies = Map.new(COOKIES_MAP, Map._str)
local epochs = Map.new(EPOCHS_MAP, Map._str)

local function milliseconds()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

local function open_in(txn, service, table)
    return tonumber(txn.c:table_conn_cur(service, table) or 0)
end

local function agent_is_up(txn)
    return txn.f:nbsrv("agent") > 0
end

local function is_pending(txn, name)
    local key = txn:get_var(name)
    return key ~= nil and pending:lookup(key) ~= nil
end

local function read_is_pending(txn)
    if is_pending(txn, "txn.by_url") or is_pending(txn, "txn.url_bucket") then
        return true
    end
    -- A static file is the same after any write.
    return txn:get_var("txn.rule") ~= "static"
        and (is_pending(txn, "txn.by_client") or is_pending(txn, "txn.client_bucket"))
end

-- For each kind of request: whether it must still wait.
local function read_waits(txn, mode)
    return (mode == "shielded" and agent_is_up(txn)) or read_is_pending(txn)
end

local waits = {
    page = function(txn)  -- while shielded, Varnish decides whether to hold it
        return read_is_pending(txn)
    end,
    held = read_waits,
    read = read_waits,
    tunnel = read_waits,
    stream = function(txn, mode)
        return mode == "shielded" and agent_is_up(txn)
    end,
    write = function(txn, mode)
        if agent_is_up(txn) then
            return mode == "drain"
        end
        -- The agent is gone and older writes wait in its journal: do not overtake them.
        return is_pending(txn, "txn.journal")
    end,
}

-- Facts that the waiting requests of a service share for some milliseconds. The more wait, the less often
-- each looks: all together, 10,000 times per second. Otherwise they would take the thread from others.
local shared = {}

local function facts_of(txn, service)
    local now, known = milliseconds(), shared[service]
    if known == nil or now < known.at or now - known.at >= 3 then
        local value = state:lookup(service)
        known = {
            at = now,
            silent = value ~= nil and value:sub(1, 9) == "shielded:" and agent_is_up(txn),
            nap = math.max(16, open_in(txn, service, "holding") // 10),
        }
        shared[service] = known
    end
    return known
end

-- The requests of all services together look LOOKS times per window. If hundreds of guests are silent, each
-- service has few requests, but all of them could take all of HAProxy's time. Then the change of state
-- for which they wait would not arrive. Times are in milliseconds.
local LOOKS, WINDOW = 2000, 100
local SHORTEST, LONGEST = 16, 250
local longest_nap = SHORTEST
local window = {began = 0, looks = 0}

local function next_nap(nap, usual)
    local now = milliseconds()
    window.looks = window.looks + 1
    if now - window.began >= WINDOW then
        local share = window.looks / LOOKS * WINDOW / (now - window.began)
        longest_nap = math.max(SHORTEST, math.min(math.ceil(longest_nap * share), LONGEST))
        window = {began = now, looks = 0}
    end
    return math.min(nap + 1 + nap // 8, math.max(usual, longest_nap))
end

local SILENT_IS_ENOUGH = {held = true, read = true, tunnel = true, stream = true}

local function must_wait(txn, service, kind)
    if SILENT_IS_ENOUGH[kind] and facts_of(txn, service).silent then
        return true
    end
    local value = state:lookup(service)
    return value ~= nil and waits[kind](txn, value:sub(1, value:find(":", 1, true) - 1))
end

-- Writes of one client that wait together continue in the order in which they came: each takes a number
-- in the client's line. Times are in milliseconds.
local LINE_STEP = 2  -- between two looks of a write that is next
local LINE_GONE = 100  -- without a look, after which the client of a write has left
local LINE_PATIENCE = 300  -- for which a write waits at most for earlier ones
local LINE_KEPT = 10000  -- for which a line is kept whose clients have all left
local lines = {}  -- service and client -> first number, last number, number -> time of its last look
local swept = 0

local function remove_old_lines(now)
    if now >= swept + LINE_KEPT then
        swept = now
        for name, line in pairs(lines) do
            if line.at + LINE_KEPT < now then
                lines[name] = nil
            end
        end
    end
end

local function line_name(txn)
    return txn:get_var("txn.svc") .. "|" .. (txn:get_var("txn.client") or "")
end

local function join_line(name)
    local now = milliseconds()
    remove_old_lines(now)
    local line = lines[name] or {first = 1, last = 0, looks = {}, left = 0}
    lines[name] = line
    line.last, line.at = line.last + 1, now
    line.looks[line.last] = now
    return line, line.last
end

local function is_behind(line, number)
    local now = milliseconds()
    line.at, line.looks[number] = now, now
    while line.first < number do
        local look = line.looks[line.first]
        if look ~= nil and now - look < LINE_GONE + longest_nap then
            return true
        end
        line.looks[line.first] = nil
        line.first = line.first + 1
    end
    return now <= line.left  -- the one before is just being sent
end

local function leave_line(name, line, number)
    line.looks[number], line.left = nil, milliseconds()
    if next(line.looks) == nil and lines[name] == line then
        lines[name] = nil
    end
end

local function wait_in_line(line, number)
    local deadline = milliseconds() + LINE_PATIENCE
    while is_behind(line, number) and milliseconds() < deadline do
        core.msleep(math.max(LINE_STEP, math.min(number - line.first, 16)))
    end
end

-- A write that comes while earlier ones of its client still wait in line.
core.register_action("cachemig_line", {"http-req"}, function(txn)
    local name = line_name(txn)
    if lines[name] ~= nil then
        local line, number = join_line(name)
        wait_in_line(line, number)
        leave_line(name, line, number)
    end
    txn:unset_var("txn.lining")
end, 0)

-- Returns what to set if the wait has ended without a reason to continue.
local function hold(txn, service, kind, look)
    local deadline = (txn:get_var("txn.since") or milliseconds()) + MAX_HOLD_MILLISECONDS
    local nap = 4
    while true do
        -- After an error the request continues: it must not be held for ever.
        local ok, wait = pcall(must_wait, txn, service, kind)
        if not ok then
            core.Alert("cachemig_hold: " .. tostring(wait))
        end
        if not ok or not wait then
            return nil
        end
        if milliseconds() >= deadline then
            return (kind ~= "write" and not agent_is_up(txn)) and "txn.bypass" or "txn.expired"
        end
        look()
        core.msleep(nap)  -- does not return if the client leaves
        -- A write that does not look for LINE_GONE and a nap counts as gone.
        nap = next_nap(nap, kind == "write" and SHORTEST or facts_of(txn, service).nap)
    end
end

core.register_action("cachemig_hold", {"http-req"}, function(txn)
    local service, kind = txn:get_var("txn.svc"), txn:get_var("txn.kind")
    local ended
    if kind == "write" then
        local name = line_name(txn)
        local line, number = join_line(name)
        ended = hold(txn, service, kind, function() is_behind(line, number) end)
        if ended == nil then
            wait_in_line(line, number)
        end
        leave_line(name, line, number)
    else
        ended = hold(txn, service, kind, function() end)
    end
    if ended ~= nil then
        txn:set_var(ended, true)
    end
    txn:unset_var("txn.holding")
end, 0)

-- Unsets txn.half if the client has not ended its side of the connection. The end arrives shortly after
-- the request. If it arrives in the pause, HAProxy ends this action there.
core.register_action("cachemig_half", {"http-req"}, function(txn)
    if txn.req:may_recv() then
        core.msleep(1)
        if txn.req:may_recv() then
            txn:unset_var("txn.half")
        end
    end
end, 0)

-- When the guest returns, all held reads become due. A few at a time take no longer in total and need
-- fewer connections. If the guest is slow, the others stop waiting after MAX_TURN_MILLISECONDS.
core.register_action("cachemig_turn", {"http-req"}, function(txn)
    local service, deadline = txn:get_var("txn.svc"), milliseconds() + MAX_TURN_MILLISECONDS
    while open_in(txn, service, "fetching") - open_in(txn, service, "streaming") >= MAX_FETCHES do
        if milliseconds() >= deadline then
            return
        end
        core.msleep(2)
    end
end, 0)

-- Identifies a client by the hash of a cookie, so that no log or journal contains the cookie's value.
core.register_action("cachemig_client", {"http-req"}, function(txn)
    local wanted = cookies:lookup(txn:get_var("txn.svc"))
    local headers = txn.http:req_get_headers()["cookie"]
    if wanted == nil or headers == nil then
        return
    end
    for index = 0, #headers do
        for name, value in string.gmatch(headers[index] or "", "%s*([^=;]+)=([^;]*)") do
            if name == wanted then
                txn:set_var("txn.client", "cookie-" .. txn.c:hex(txn.c:sha1(value)):lower())
                return
            end
        end
    end
end, 0)

-- The path of a URL in one spelling: nova_cachemig/model/paths.py.
local function path_of(url)
    return url:match("^[^?#]*")
end

local function canonical(url)
    local path = path_of(url)
    if path:find("^/[a-z0-9_/-]*[a-z0-9_-]$") and not path:find("//", 1, true) then
        return path
    end
    path = path:gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end)
    path = path:gsub("\\", "/"):gsub("[A-Z]", function(c) return string.char(c:byte() + 32) end)
    local kept = {}
    for segment in path:gmatch("[^/]+") do
        local name = segment:match("^[^;]*")
        if name == ".." then
            kept[#kept] = nil
        elseif name ~= "" and name ~= "." then
            kept[#kept + 1] = name
        end
    end
    return "/" .. table.concat(kept, "/")
end

-- The host does not matter: it can be another one of the service, and a needless epoch costs one fetch.
local function resolve(url, reference)
    local path = path_of(reference:match("^[ \t]*(.-)[ \t]*$"))
    local rest = path:match("^%a[%w+.-]*://[^/]*(.*)$") or path:match("^//[^/]*(.*)$")
    if rest ~= nil then
        return rest == "" and "/" or rest
    end
    if path:sub(1, 1) == "/" then
        return path
    end
    local base = path_of(url)
    if path == "" then
        return base
    end
    return (base:match("^(.*)/[^/]*$") or "") .. "/" .. path
end

core.register_converters("cachemig_path", canonical)
core.register_converters("cachemig_resolved", function(reference, url)  -- a test compares it
    return resolve(url, reference)
end)

-- Service -> place -> when a response to a user's request was stored for it. Two pages of a service
-- can have one place. Then one of them is stored a little later.
local stored = {}

-- Unsets txn.store if a response was stored shortly before.
core.register_action("cachemig_store", {"http-req"}, function(txn)
    local service, place = txn:get_var("txn.svc"), txn:get_var("txn.slot"):sub(1, 4)
    local times, now = stored[service], milliseconds()
    if times == nil then
        times = {}
        stored[service] = times
    end
    if now - (times[place] or -STORE_MILLISECONDS) < STORE_MILLISECONDS then
        txn:unset_var("txn.store")
    else
        times[place] = now
    end
end, 0)

-- Service -> its paths with a separate epoch. The agent clears the map, and then the first is missing.
local written = {}

local function epoch_key(service, txn, path)
    local key = txn.c:hex(txn.c:sha1(service .. "|url:" .. path))
    if epochs:lookup(key) ~= nil then
        return key
    end
    local known = written[service]
    if known == nil or known[1] == nil or epochs:lookup(known[1]) == nil then
        known = {buckets = {}}
        written[service] = known
    end
    if #known >= MAX_EPOCHS then
        local bucket = service .. "|" .. key:sub(1, 2)
        known.buckets[bucket] = true
        return bucket
    end
    known[#known + 1] = key
    return key
end

-- The epochs of a service that is in no handover are of no use. They are removed slowly, since HAProxy
-- searches the map for each. The first one is the last, for the check above.
local function forget_epochs(number)
    for service, known in pairs(written) do
        while state:lookup(service) == nil do
            local key = next(known.buckets) or table.remove(known)
            if key == nil then
                written[service] = nil
                break
            end
            known.buckets[key] = nil
            core.del_map(EPOCHS_MAP, key)
            number = number - 1
            if number <= 0 then
                return
            end
        end
    end
end

local function forget_stored()
    for service in pairs(stored) do
        if state:lookup(service) == nil then
            stored[service] = nil
        end
    end
end

core.register_task(function()
    while true do
        core.msleep(100)
        for _, forget in ipairs({forget_epochs, forget_stored}) do
            local ok, problem = pcall(forget, 10)
            if not ok then
                core.Alert("ended handovers: " .. tostring(problem))
            end
        end
    end
end)

local function renew_epoch(txn, url)
    local now = core.now()
    local epoch = string.format("%x%05x%04x", now.sec, now.usec, math.random(0, 65535))
    core.set_map(EPOCHS_MAP, epoch_key(txn:get_var("txn.svc"), txn, canonical(url)), epoch)
end

-- COPY and MOVE also change the page of their Destination.
local function renew_destination(txn)
    local destination = txn:get_var("txn.destination")
    if destination then
        renew_epoch(txn, resolve(txn:get_var("txn.url"), destination))
    end
end

core.register_action("cachemig_writing", {"http-req"}, function(txn)
    renew_epoch(txn, txn:get_var("txn.url"))
    renew_destination(txn)
end, 0)

-- RFC 9111, section 4.4: the response to an unsafe request invalidates these URLs.
core.register_action("cachemig_written", {"http-res"}, function(txn)
    local url = txn:get_var("txn.url")
    renew_epoch(txn, url)  -- also after an error: the guest may have applied it
    renew_destination(txn)
    if txn.f:status() >= 400 then
        return
    end
    local headers = txn.http:res_get_headers()
    for _, name in ipairs({"location", "content-location"}) do
        if headers[name] then
            renew_epoch(txn, resolve(url, headers[name][0]))
        end
    end
end, 0)
