-- Ends the warmer's fetch of a response without a length at the size of the largest page. Without
-- this, Varnish would keep an endless response until its share of the memory is full.

local MAX_ENDLESS = 10000
local endless, kept = {}, 0  -- by the hash of the page

local function remember(page)
    if kept >= MAX_ENDLESS then
        endless, kept = {}, 0
    end
    if page ~= nil and not endless[page] then
        endless[page], kept = true, kept + 1
    end
end

core.register_converters("cachemig_endless", function(page)
    return endless[page] or false
end)

local Bound = {id = "cachemig_bound", flags = filter.FLT_CFG_FL_HTX}
Bound.__index = Bound

function Bound:new()
    return setmetatable({}, Bound)
end

function Bound:http_headers(txn, message)
    if message.channel:is_resp() then
        self.left = txn:get_var("txn.largest")
        if self.left ~= nil and message:get_headers()["content-length"] == nil then
            filter.register_data_filter(self, message.channel)
        end
    end
    return filter.CONTINUE
end

function Bound:http_payload(txn, message)
    self.left = self.left - message:input()
    if self.left < 0 then
        remember(txn:get_var("txn.warmed"))
        error("a response without a length is too large to store")
    end
end

core.register_filter("cachemig_bound", Bound, function(bound)
    return bound
end)
