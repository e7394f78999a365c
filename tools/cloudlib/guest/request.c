/* Reads requests strictly. A request that two readers could take differently is
 * refused: two lengths, a length with chunks, a bare line feed in a header. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "guest.h"

enum { BODY_LIMIT = 64 << 20, CHUNK_LINE_LIMIT = 1024 };

const char *const method_name[] = {"GET",   "HEAD",   "PUT",  "POST",
                                   "PATCH", "DELETE", "OTHER"};

static enum method method_of(const char *word)
{
    for (int i = 0; i < M_OTHER; i++)
        if (!strcmp(word, method_name[i]))
            return (enum method)i;
    return M_OTHER;
}

/* Tabs and line ends would break the log's lines. */
static void copy_value(char *to, const char *from)
{
    size_t i = 0;
    for (; from[i] && i < NAME_MAX_LEN; i++)
        to[i] = (unsigned char)from[i] < ' ' ? ' ' : from[i];
    to[i] = 0;
}

static int has_token(const char *list, const char *token)
{
    size_t size = strlen(token);
    for (const char *p = list; *p;) {
        p += strspn(p, " \t,");
        size_t word = strcspn(p, " \t,;");
        if (word == size && !strncasecmp(p, token, size))
            return 1;
        p += strcspn(p, ",");
    }
    return 0;
}

static int take_length(struct request *r, const char *value)
{
    if (!*value || strspn(value, "0123456789") != strlen(value) || strlen(value) > 12)
        return 400;
    long long length = atoll(value);
    if (r->length >= 0 && r->length != length)
        return 400;
    r->length = length;
    return length > BODY_LIMIT ? 413 : 0;
}

static int take_header(struct request *r, const char *name, const char *value)
{
    if (!strcasecmp(name, "content-length"))
        return take_length(r, value);
    if (!strcasecmp(name, "transfer-encoding")) {
        if (strcasecmp(value, "chunked"))
            return 501;
        r->chunked = 1;
    } else if (!strcasecmp(name, "connection")) {
        if (has_token(value, "close"))
            r->keep_alive = 0;
        else if (has_token(value, "keep-alive"))
            r->keep_alive = 1;
    } else if (!strcasecmp(name, "expect")) {
        r->expect = !strcasecmp(value, "100-continue");
    } else if (!strcasecmp(name, "x-client-id")) {
        copy_value(r->client, value);
    } else if (!strcasecmp(name, "x-request-id")) {
        copy_value(r->id, value);
    } else if (!strcasecmp(name, "idempotency-key")) {
        copy_value(r->key, value);
    } else if (!strcasecmp(name, "if-none-match")) {
        copy_value(r->if_none_match, value);
    }
    return 0;
}

static int take_line(struct request *r, char *line)
{
    char *target = strchr(line, ' ');
    if (!target)
        return 400;
    *target++ = 0;
    char *version = strchr(target, ' ');
    if (!version)
        return 400;
    *version++ = 0;
    if (!strcmp(version, "HTTP/1.1"))
        r->keep_alive = 1;
    else if (strcmp(version, "HTTP/1.0"))
        return 505;
    r->method = method_of(line);
    if (!strncasecmp(target, "http://", 7)) { /* absolute form */
        target = strchr(target + 7, '/');
        if (!target)
            target = "/";
    }
    if (*target != '/')
        return 400;
    size_t path = strcspn(target, "?#");
    if (path > PATH_MAX_LEN || strlen(target) - path > PATH_MAX_LEN)
        return 414;
    memcpy(r->path, target, path);
    r->path[path] = 0;
    strcpy(r->query, target[path] == '?' ? target + path + 1 : "");
    for (char *p = r->path; *p; p++)
        if ((unsigned char)*p < '!')
            return 400;
    return 0;
}

int request_parse(struct request *r, char *head, size_t size)
{
    memset(r, 0, offsetof(struct request, digest));
    r->length = -1;
    if (memchr(head, 0, size))
        return 400;
    head[size - 2] = 0;
    int status = 0, first = 1;
    for (char *line = head, *next; *line && !status; line = next, first = 0) {
        char *end = strstr(line, "\r\n");
        if (end)
            *end = 0, next = end + 2;
        else
            next = line + strlen(line);
        if (first) {
            status = take_line(r, line);
            continue;
        }
        char *colon = strchr(line, ':');
        if (!colon || colon == line || strchr(line, '\n') || isspace((unsigned char)colon[-1]))
            return 400;
        *colon++ = 0;
        colon += strspn(colon, " \t");
        for (char *last = colon + strlen(colon); last > colon && isspace((unsigned char)last[-1]);)
            *--last = 0;
        status = take_header(r, line, colon);
    }
    if (!status && r->chunked && r->length >= 0)
        status = 400;
    return status;
}

long query_number(const char *query, const char *name, long otherwise)
{
    size_t size = strlen(name);
    for (const char *p = query; p && *p; p = strchr(p, '&')) {
        p += *p == '&';
        if (!strncmp(p, name, size) && p[size] == '=') {
            char *end;
            long value = strtol(p + size + 1, &end, 10);
            return end == p + size + 1 || (*end && *end != '&') ? -1 : value;
        }
    }
    return otherwise;
}

void body_begin(struct body *body, const struct request *r)
{
    body->total = 0;
    body->left = r->length > 0 ? r->length : 0;
    body->at = r->chunked ? B_SIZE : body->left ? B_PLAIN : B_DONE;
    sha1_init(&body->sha);
}

/* One line of the chunked framing: its length with the line end, 0 if it is not
 * all there, -1 if it is no line at all. */
static int framing_line(struct buf *in)
{
    char *end = memchr(buf_head(in), '\n', buf_size(in));
    if (!end)
        return buf_size(in) > CHUNK_LINE_LIMIT ? -1 : 0;
    if (end == buf_head(in) || end[-1] != '\r')
        return -1;
    end[-1] = 0;
    return (int)(end + 1 - buf_head(in));
}

static int next_chunk(struct body *body, const char *line)
{
    char *end;
    size_t digits = strspn(line, "0123456789abcdefABCDEF");
    if (!digits || digits > 8)
        return 400;
    body->left = strtoll(line, &end, 16);
    if (*end && *end != ';' && *end != ' ')
        return 400;
    body->at = body->left ? B_DATA : B_TRAILER;
    return body->total + body->left > BODY_LIMIT ? 413 : 0;
}

int body_eat(struct body *body, struct buf *in)
{
    while (body->at != B_DONE && buf_size(in)) {
        if (body->at == B_PLAIN || body->at == B_DATA) {
            size_t piece = buf_size(in);
            if ((int64_t)piece > body->left)
                piece = (size_t)body->left;
            sha1_update(&body->sha, buf_head(in), piece);
            buf_consume(in, piece);
            body->total += (int64_t)piece;
            body->left -= (int64_t)piece;
            if (!body->left)
                body->at = body->at == B_DATA ? B_CRLF : B_DONE;
            continue;
        }
        char *line = buf_head(in);
        int size = framing_line(in), status = 0;
        if (size < 0)
            return 400;
        if (!size)
            return 0;
        if (body->at == B_SIZE)
            status = next_chunk(body, line);
        else if (body->at == B_CRLF)
            status = size == 2 ? 0 : 400, body->at = B_SIZE;
        else if (size == 2)
            body->at = B_DONE;
        buf_consume(in, (size_t)size);
        if (status)
            return status;
    }
    return 0;
}
