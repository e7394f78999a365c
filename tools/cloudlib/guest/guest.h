/* The guest's web service: a tiny HTTP/1.1 server that keeps, in order, every
 * write it was given. One thread, epoll; made to be fast under emulation. */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

/* ---- buf.c: a growing byte buffer with a read position ---- */
struct buf {
    char *data;
    size_t start, end, room;
};
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t size);
void buf_text(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t size);
void buf_free(struct buf *b);
static inline size_t buf_size(const struct buf *b) { return b->end - b->start; }
static inline char *buf_head(struct buf *b) { return b->data + b->start; }

/* ---- sha1.c ---- */
struct sha1 {
    uint32_t state[5];
    uint64_t length;
    uint8_t block[64];
};
void sha1_init(struct sha1 *s);
void sha1_update(struct sha1 *s, const void *data, size_t size);
void sha1_final(struct sha1 *s, uint8_t digest[20]);

/* ---- request.c: the content of a request ---- */
enum method { M_GET, M_HEAD, M_PUT, M_POST, M_PATCH, M_DELETE, M_OTHER };
extern const char *const method_name[];

enum { NAME_MAX_LEN = 255, PATH_MAX_LEN = 1023 };
struct request {
    enum method method;
    char path[PATH_MAX_LEN + 1]; /* without the query */
    char query[PATH_MAX_LEN + 1];
    char client[NAME_MAX_LEN + 1];
    char id[NAME_MAX_LEN + 1];
    char key[NAME_MAX_LEN + 1]; /* Idempotency-Key */
    char if_none_match[NAME_MAX_LEN + 1];
    int keep_alive, chunked, expect;
    int64_t length; /* of the body, -1: not told */
    int has_body;
    uint8_t digest[20];
};
/* 0, or the status to refuse with. HEAD ends with an empty line. */
int request_parse(struct request *r, char *head, size_t size);
long query_number(const char *query, const char *name, long otherwise);

/* Takes a body apart as it arrives. */
struct body {
    enum { B_PLAIN, B_SIZE, B_DATA, B_CRLF, B_TRAILER, B_DONE } at;
    int64_t left, total;
    struct sha1 sha;
};
void body_begin(struct body *body, const struct request *r);
/* 0: go on or done (body->at), else the status to refuse with. */
int body_eat(struct body *body, struct buf *in);

/* ---- journal.c: the ordered log of writes and the items' state ---- */
enum { LOG_LIMIT = 1000000 };
struct entry {
    uint32_t path, client, id, key; /* offsets into the text arena, 0: none */
    uint8_t method, has_body;
    uint8_t digest[20];
};
uint32_t log_append(const struct request *r); /* the sequence number, 0: full */
uint32_t log_last(void);
const struct entry *log_entry(uint32_t seq);
const char *log_text(uint32_t offset);
uint32_t item_last(const char *path); /* seq of the last write, 0: none */
uint32_t key_seen(const char *key);   /* seq of the first write with it */

/* ---- dirty.c: keeps memory changing at a given rate, in its own thread ---- */
void dirty_start(void);
void dirty_set(long rate_mib, long size_mib);
void dirty_get(long *rate_mib, long *size_mib);

/* ---- app.c ---- */
struct conn {
    int fd;
    int events; /* that epoll watches */
    enum { C_HEAD, C_BODY, C_LOG, C_CLOSE } at;
    struct buf in, out;
    struct request request;
    struct body body;
    uint32_t log_next, log_end;
};
extern int honour_keys;
void app_init(void);
void app_respond(struct conn *c);
void app_refuse(struct conn *c, int status);
void app_continue_log(struct conn *c); /* the next piece of a long response */

#endif
