
-- The client behind a trusted proxy: the address farthest to the right that is not itself trusted.
-- The client can have written everything to the left of it.

local MAX_HOPS = 32

local networks_by_text = {}

local function networks_of(text)
    local found = networks_by_text[text]
    if found == nil then
        found = {}
        for network in text:gmatch("[^+]+") do
            found[#found + 1] = core.parse_addr(network)
        end
        networks_by_text[text] = found
    end
    return found
end

local function is_trusted(address, networks)
    local parsed = core.parse_addr(address)
    for _, network in ipairs(networks) do
        if parsed and core.match_addr(network, parsed) then
            return true
        end
    end
    return false
end

-- An address without port and brackets; nil for another text, as "unknown" or "_hidden".
local function address_of(text)
    local address = text:match("^%[([%x:.]+)%]:?%d*$") or text:match("^([%d.]+):%d+$") or text
    if address:match("^[%x:.]+$") and address:find("[:.]") and core.parse_addr(address) then
        return address:lower()
    end
    return nil
end

-- The elements of all lines of a header, the last one first.
local function elements_of(lines)
    local found = {}
    for index = #lines, 0, -1 do
        local parts = {}
        for part in (lines[index] .. ","):gmatch("([^,]*),") do
            parts[#parts + 1] = part:match("^%s*(.-)%s*$")
        end
        for number = #parts, 1, -1 do
            if parts[number] ~= "" then
                found[#found + 1] = parts[number]
            end
            if #found > MAX_HOPS then
                return found
            end
        end
    end
    return found
end

local function for_of(element)
    for pair in element:gmatch("[^;]+") do
        local name, value = pair:match("^%s*([%a]+)%s*=%s*(.-)%s*$")
        if name and name:lower() == "for" then
            return value:match('^"(.*)"$') or value
        end
    end
    return ""
end

-- nil: the header names no client. If all are trusted, the first one is the client.
local function client_in(lines, networks, read)
    local address
    for _, element in ipairs(elements_of(lines)) do
        address = address_of(read(element))
        if address == nil then
            return nil
        elseif not is_trusted(address, networks) then
            return address
        end
    end
    return address
end

local function as_it_is(element)
    return element
end

local function find_client(txn)
    local networks = networks_of(txn:get_var("txn.proxies"))
    if not is_trusted(txn.f:src(), networks) then
        return
    end
    txn:set_var("txn.trusted", true)
    local headers = txn.http:req_get_headers()
    local by_list, by_field = headers["x-forwarded-for"], headers["forwarded"]
    local one = by_list and client_in(by_list, networks, as_it_is)
    local two = by_field and client_in(by_field, networks, for_of)
    -- A proxy may write only one of them and pass the other one on. So both must name the same.
    if by_list and by_field and one ~= two then
        return
    end
    local found = one or two
    if found then
        txn:set_var("txn.from", found)
    end
end

core.register_action("cachemig_from", {"http-req"}, function(txn)
    local ok, problem = pcall(find_client, txn)
    if not ok then
        core.Alert("cachemig_from: " .. tostring(problem))
    end
end, 0)
