/* The responses of the guest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest.h"

enum { TEXT = 16384, PIECE = 32768 };
#define MODIFIED "Thu, 01 Jan 2026 00:00:00 GMT"

int honour_keys;
static char prose[TEXT + 1]; /* pages are cut from it */

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
    }
}

static const char *date(void)
{
    static char text[40];
    static time_t shown;
    time_t now = time(NULL);
    if (now != shown) {
        struct tm tm;
        gmtime_r(&now, &tm);
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        shown = now;
    }
    return text;
}

/* HEADERS are whole lines. LENGTH -1: chunked, -2: the response has no body. */
static void head(struct conn *c, int status, long length, const char *headers)
{
    buf_printf(&c->out, "HTTP/1.1 %d %s\r\nDate: %s\r\nServer: cachemig-guest\r\n",
               status, reason(status), date());
    if (length >= 0)
        buf_printf(&c->out, "Content-Length: %ld\r\n", length);
    else if (length == -1)
        buf_text(&c->out, "Transfer-Encoding: chunked\r\n");
    if (!c->request.keep_alive)
        buf_text(&c->out, "Connection: close\r\n");
    buf_text(&c->out, headers);
    buf_text(&c->out, "\r\n");
}

static void respond(struct conn *c, int status, const char *headers, const char *body, size_t size)
{
    head(c, status, (long)size, headers);
    if (c->request.method != M_HEAD)
        buf_add(&c->out, body, size);
}

static void respond_text(struct conn *c, int status, const char *headers, const char *body)
{
    respond(c, status, headers, body, strlen(body));
}

void app_refuse(struct conn *c, int status)
{
    c->request.keep_alive = 0;
    char body[64];
    snprintf(body, sizeof body, "%d %s\n", status, reason(status));
    respond_text(c, status, "Content-Type: text/plain\r\nCache-Control: no-store\r\n", body);
    c->at = C_CLOSE;
}

void app_init(void)
{
    static const char *const word[] = {"memory", "page", "guest", "moves", "while", "its",
                                       "users", "read", "on", "and", "nobody", "waits"};
    uint32_t x = 12345;
    for (size_t used = 0; used < TEXT;) {
        x = x * 1664525 + 1013904223;
        int n = snprintf(prose + used, TEXT + 1 - used, "%s%s", word[(x >> 16) % 12],
                         (x >> 8) % 13 ? " " : ".\n");
        used += (size_t)n;
    }
    prose[TEXT] = 0;
}

static const char *freshness(unsigned long number)
{
    switch (number % 10) {
    case 9: return "Cache-Control: no-cache\r\n";
    case 6: case 7: case 8: return "";
    default: return "Cache-Control: public, max-age=60\r\n";
    }
}

static void page(struct conn *c, unsigned long n)
{
    char headers[256], tag[40], body[10240];
    snprintf(tag, sizeof tag, "\"p%lu-1\"", n);
    snprintf(headers, sizeof headers,
             "Content-Type: text/html\r\nLast-Modified: " MODIFIED "\r\nETag: %s\r\n%s",
             tag, freshness(n));
    if (strstr(c->request.if_none_match, tag)) {
        head(c, 304, -2, headers);
        return;
    }
    unsigned long mixed = n * 2654435761ul;
    size_t size = 1024 + (mixed >> 7) % (7 * 1024);
    size_t used = (size_t)snprintf(body, sizeof body,
        "<!doctype html><title>page %lu</title><h1>page %lu</h1><p>"
        "<a href=\"/page/%lu\">a</a> <a href=\"/page/%lu\">b</a> "
        "<a href=\"/page/%lu\">c</a> <a href=\"/item/%lu\">item</a><p>\n",
        n, n, n + 1, n * 7 % 1000, n * 31 % 1000, n % 100);
    if (used < size) {
        memcpy(body + used, prose + (mixed >> 20) % (TEXT - 8192), size - used);
        used = size;
    }
    respond(c, 200, headers, body, used);
}

static void private_page(struct conn *c, unsigned long n)
{
    char body[128];
    snprintf(body, sizeof body, "private %lu of client %.40s at log %u\n", n,
             c->request.client, log_last());
    respond_text(c, 200, "Content-Type: text/plain\r\nCache-Control: private, no-store\r\n", body);
}

static void index_page(struct conn *c)
{
    char body[8192];
    size_t used = (size_t)snprintf(body, sizeof body, "<!doctype html><title>guest</title><ul>\n");
    for (int i = 0; i < 100; i++)
        used += (size_t)snprintf(body + used, sizeof body - used,
                                 "<li><a href=\"/page/%d\">page %d</a>\n", i, i);
    respond(c, 200, "Content-Type: text/html\r\nLast-Modified: " MODIFIED
           "\r\nCache-Control: public, max-age=60\r\n", body, used);
}

static void item_read(struct conn *c)
{
    uint32_t seq = item_last(c->request.path);
    char headers[256], body[2048], tag[24];
    snprintf(tag, sizeof tag, "\"i%u\"", seq);
    snprintf(headers, sizeof headers,
             "Content-Type: text/plain\r\nCache-Control: max-age=60\r\nETag: %s\r\nX-Write-Seq: %u\r\n",
             tag, seq);
    if (strstr(c->request.if_none_match, tag)) {
        head(c, 304, -2, headers);
        return;
    }
    const struct entry *e = seq ? log_entry(seq) : NULL;
    snprintf(body, sizeof body, "%s\nwrite: %s\nseq: %u\nmethod: %s\n", c->request.path,
             e ? log_text(e->id) : "-", seq, e ? method_name[e->method] : "-");
    respond_text(c, 200, headers, body);
}

static void item_write(struct conn *c)
{
    struct request *r = &c->request;
    uint32_t seq = honour_keys && r->key[0] ? key_seen(r->key) : 0;
    const char *replayed = seq ? "Idempotent-Replayed: true\r\n" : "";
    if (!seq)
        seq = log_append(r);
    if (!seq) {
        app_refuse(c, 507);
        return;
    }
    char headers[192], body[32];
    snprintf(headers, sizeof headers,
             "Content-Type: text/plain\r\nCache-Control: no-store\r\nX-Write-Seq: %u\r\n%s",
             seq, replayed);
    snprintf(body, sizeof body, "%u\n", seq);
    respond_text(c, log_entry(seq)->method == M_POST ? 201 : 200, headers, body);
}

static void log_line(struct buf *to, uint32_t seq)
{
    const struct entry *e = log_entry(seq);
    char digest[41] = "-";
    for (int i = 0; i < 20 && e->has_body; i++)
        snprintf(digest + 2 * i, 3, "%02x", e->digest[i]);
    buf_printf(to, "%u\t%s\t", seq, method_name[e->method]);
    buf_text(to, log_text(e->path));
    buf_text(to, "\t");
    buf_text(to, log_text(e->client));
    buf_text(to, "\t");
    buf_text(to, log_text(e->id));
    buf_text(to, "\t");
    buf_text(to, log_text(e->key));
    buf_printf(to, "\t%s\n", digest);
}

void app_continue_log(struct conn *c)
{
    struct buf piece = {0};
    while (c->log_next <= c->log_end && buf_size(&piece) < PIECE)
        log_line(&piece, c->log_next++);
    if (buf_size(&piece)) {
        buf_printf(&c->out, "%zx\r\n", buf_size(&piece));
        buf_add(&c->out, buf_head(&piece), buf_size(&piece));
        buf_text(&c->out, "\r\n");
    }
    buf_free(&piece);
    if (c->log_next > c->log_end) {
        buf_text(&c->out, "0\r\n\r\n");
        c->at = c->request.keep_alive ? C_HEAD : C_CLOSE;
    }
}

static void log_page(struct conn *c)
{
    long from = query_number(c->request.query, "from", 1);
    if (from < 0) {
        app_refuse(c, 400);
        return;
    }
    char headers[128];
    snprintf(headers, sizeof headers,
             "Content-Type: text/tab-separated-values\r\nCache-Control: no-store\r\n"
             "X-Write-Seq: %u\r\n", log_last());
    head(c, 200, -1, headers);
    if (c->request.method == M_HEAD)
        return;
    c->log_next = from > 0 ? (uint32_t)from : 1;
    c->log_end = log_last();
    c->at = C_LOG;
}

static void dirty_page(struct conn *c)
{
    long rate, size;
    dirty_get(&rate, &size);
    rate = query_number(c->request.query, "rate", rate);
    size = query_number(c->request.query, "size", size);
    if (rate < 0 || size < 0 || rate > 100000 || size > 65536) {
        app_refuse(c, 400);
        return;
    }
    dirty_set(rate, size);
    char body[64];
    snprintf(body, sizeof body, "rate %ld MiB/s, size %ld MiB\n", rate, size);
    respond_text(c, 200, "Content-Type: text/plain\r\nCache-Control: no-store\r\n", body);
}

/* The number after PREFIX, or NULL's worth of nothing. */
static int numbered(const char *path, const char *prefix, unsigned long *number)
{
    size_t size = strlen(prefix);
    if (strncmp(path, prefix, size) || !path[size])
        return 0;
    char *end;
    *number = strtoul(path + size, &end, 10);
    return !*end;
}

void app_respond(struct conn *c)
{
    struct request *r = &c->request;
    unsigned long n;
    int read = r->method == M_GET || r->method == M_HEAD;
    c->at = r->keep_alive ? C_HEAD : C_CLOSE;
    if (r->method == M_OTHER)
        app_refuse(c, 501);
    else if (!strncmp(r->path, "/item/", 6) && r->path[6])
        read ? item_read(c) : item_write(c);
    else if (!strcmp(r->path, "/dirty"))
        dirty_page(c);
    else if (!read)
        respond_text(c, 405, "Allow: GET, HEAD\r\nCache-Control: no-store\r\n", "read only\n");
    else if (numbered(r->path, "/page/", &n))
        page(c, n);
    else if (numbered(r->path, "/private/", &n))
        private_page(c, n);
    else if (!strcmp(r->path, "/"))
        index_page(c);
    else if (!strcmp(r->path, "/log"))
        log_page(c);
    else if (!strcmp(r->path, "/health"))
        respond_text(c, 200, "Content-Type: text/plain\r\nCache-Control: no-store\r\n", "ok\n");
    else
        respond_text(c, 404, "Content-Type: text/plain\r\nCache-Control: no-store\r\n", "not found\n");
}
