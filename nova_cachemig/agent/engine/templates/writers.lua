-- Remembers which clients have written in a handover. A page that was stored before can contradict the
-- write.

-- A cookie with a value of this length belongs to one client. A shorter one can be a language.
local UNIQUE = 16

-- Service -> the generation of its pages, and the times of the last writes. A client has one of 65,536
-- places. With two in one place, the other one waits for the guest too: never an older page.
local by_service = {}

local function forget_others()
    for service in pairs(by_service) do
        if state:lookup(service) == nil then
            by_service[service] = nil
        end
    end
end

local function writes_of(service)
    local entry = state:lookup(service)
    if entry == nil then
        return nil
    end
    local generation = entry:match(":(.*)$")
    local known = by_service[service]
    if known == nil or known.generation ~= generation then
        forget_others()
        known = {generation = generation, times = {}}
        by_service[service] = known
    end
    return known.times
end

local function place(txn, text)
    local digest = txn.c:sha1(text)
    return digest:byte(1) * 256 + digest:byte(2)
end

local function jar_of(txn)
    local jar = {}
    for name, value in (txn:get_var("txn.jar") or ""):gmatch("%s*([^=;]+)=([^;]*)") do
        jar[name] = value
    end
    return jar
end

-- A client is known by its address with all its cookies, and by each cookie that no other client has.
local function places(txn, jar)
    local pairs_of, found = {}, {}
    for name, value in pairs(jar) do
        local cookie = name .. "=" .. value
        pairs_of[#pairs_of + 1] = cookie
        if #value >= UNIQUE then
            found[#found + 1] = place(txn, "cookie|" .. cookie)
        end
    end
    table.sort(pairs_of)
    local all = (txn:get_var("txn.from") or "") .. "|" .. table.concat(pairs_of, ";")
    found[#found + 1] = place(txn, "client|" .. all)
    -- Private pages are kept for a login.
    for name in (txn:get_var("txn.logins") or ""):gmatch("[^;]+") do
        if jar[name] then
            found[#found + 1] = place(txn, "login|" .. name .. "=" .. jar[name])
        end
    end
    local credentials = txn:get_var("txn.credentials")
    if credentials then
        found[#found + 1] = place(txn, "login|" .. credentials)
    end
    local named = txn:get_var("txn.client")
    if named and named:sub(1, 7) == "cookie-" then
        found[#found + 1] = place(txn, named)
    end
    return found
end

local function wall_clock(txn)
    return tonumber(txn.f:date())
end

local function note(txn, jar)
    local times = writes_of(txn:get_var("txn.svc"))
    if times ~= nil then
        local second = wall_clock(txn) + 1  -- Varnish rounds
        for _, one in ipairs(places(txn, jar)) do
            times[one] = second
        end
    end
end

local function guarded(name, work)
    return function(txn)
        local ok, problem = pcall(work, txn)
        if not ok then
            core.Alert(name .. ": " .. tostring(problem))
        end
    end
end

core.register_action("cachemig_wrote", {"http-req"}, guarded("cachemig_wrote", function(txn)
    note(txn, jar_of(txn))
end), 0)

-- The response to a write, or one that deletes cookies: also with the cookies from now on.
core.register_action("cachemig_was_written", {"http-res"}, guarded("cachemig_was_written", function(txn)
    local jar = jar_of(txn)
    note(txn, jar)
    local lines = txn.http:res_get_headers()["set-cookie"]
    if lines == nil then
        return
    end
    for index = 0, #lines do
        local name, value = (lines[index] or ""):match("^%s*([^=;]+)=([^;]*)")
        local attributes = (lines[index] or ""):lower()
        if name ~= nil then
            local gone = value == "" or attributes:find("max%-age=[-0];?") or attributes:find("jan[ -]1970")
            jar[name] = not gone and value or nil
        end
    end
    note(txn, jar)
end), 0)

-- Sets txn.wrote, the time of the client's last write, if there was one.
core.register_action("cachemig_reader", {"http-req"}, function(txn)
    local ok, last = pcall(function()
        local times, last = writes_of(txn:get_var("txn.svc")), nil
        if times == nil or next(times) == nil then
            return nil
        end
        for _, one in ipairs(places(txn, jar_of(txn))) do
            if times[one] ~= nil and (last == nil or times[one] > last) then
                last = times[one]
            end
        end
        return last
    end)
    if not ok then
        core.Alert("cachemig_reader: " .. tostring(last))
        last = wall_clock(txn) + 1
    end
    if last ~= nil then
        txn:set_var("txn.wrote", last)
    end
end, 0)
