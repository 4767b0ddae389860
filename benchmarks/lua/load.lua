-- The requests that wrk sends: made once, sent in turn, so that no two in a row are the same.
-- Arguments: method, target (its %d becomes the request's number), how many different ones, bytes of body,
-- "repeated" or "varying" (one field then differs from request to request), "keep-alive" or "close".
local made, turn, count = {}, 0, 0

function init(args)
  local method, target, fields, connection = args[1], args[2], args[5], args[6]
  local body = string.rep("x", tonumber(args[4]))
  count = tonumber(args[3])
  for number = 1, count do
    local head = { method .. " " .. string.format(target, number) .. " HTTP/1.1", "Host: " .. wrk.host .. ":" .. wrk.port }
    if fields == "varying" then head[#head + 1] = string.format("X-Request-Id: %08x-%08x", number * 40503, number) end
    if #body > 0 then head[#head + 1] = "Content-Length: " .. #body end
    if connection == "close" then head[#head + 1] = "Connection: close" end
    made[number] = table.concat(head, "\r\n") .. "\r\n\r\n" .. body
  end
end

function request()
  turn = turn % count + 1
  return made[turn]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "load: requests=%d microseconds=%d bytes=%d p50=%d p99=%d connect=%d read=%d write=%d status=%d timeout=%d\n",
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
