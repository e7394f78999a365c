/* guestd [--port N] [--keys ignore|honour] [--dirty-rate MiB/s] [--dirty-size MiB] */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

enum { HEAD_LIMIT = 32768, OUT_LIMIT = 262144, READ_SIZE = 16384, AT_ONCE = 64 };

static int poller;

static void watch(struct conn *c, int events)
{
    if (c->events == events)
        return;
    struct epoll_event e = {.events = (uint32_t)events, .data.ptr = c};
    epoll_ctl(poller, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e);
    c->events = events;
}

static void drop(struct conn *c)
{
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
}

/* The end of the head with its empty line, 0 if it is not there yet. */
static size_t head_size(struct buf *in)
{
    char *end = memmem(buf_head(in), buf_size(in), "\r\n\r\n", 4);
    return end ? (size_t)(end + 4 - buf_head(in)) : 0;
}

static int take_head(struct conn *c)
{
    while (buf_size(&c->in) >= 2 && !memcmp(buf_head(&c->in), "\r\n", 2))
        buf_consume(&c->in, 2); /* empty lines between requests */
    size_t size = buf_size(&c->in) ? head_size(&c->in) : 0;
    if (!size) {
        if (buf_size(&c->in) > HEAD_LIMIT)
            app_refuse(c, 431);
        return 0;
    }
    int status = request_parse(&c->request, buf_head(&c->in), size);
    buf_consume(&c->in, size);
    if (status) {
        app_refuse(c, status);
        return 1;
    }
    body_begin(&c->body, &c->request);
    if (c->request.expect && c->body.at != B_DONE)
        buf_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    c->at = C_BODY;
    return 1;
}

static int take_body(struct conn *c)
{
    int status = body_eat(&c->body, &c->in);
    if (status) {
        app_refuse(c, status);
        return 1;
    }
    if (c->body.at != B_DONE)
        return 0;
    c->request.has_body = c->body.total > 0;
    if (c->request.has_body)
        sha1_final(&c->body.sha, c->request.digest);
    app_respond(c);
    return 1;
}

/* Responds to the requests in the buffer while the client takes the responses. */
static void advance(struct conn *c)
{
    int more = 1;
    while (more && buf_size(&c->out) < OUT_LIMIT) {
        switch (c->at) {
        case C_HEAD: more = buf_size(&c->in) && take_head(c); break;
        case C_BODY: more = take_body(c); break;
        case C_LOG: app_continue_log(c); break;
        case C_CLOSE: more = 0; break;
        }
    }
}

/* -1: the connection is of no more use. */
static int flush(struct conn *c)
{
    while (buf_size(&c->out)) {
        ssize_t sent = send(c->fd, buf_head(&c->out), buf_size(&c->out), MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        buf_consume(&c->out, (size_t)sent);
    }
    return c->at == C_CLOSE ? -1 : 0;
}

static int receive(struct conn *c)
{
    buf_reserve(&c->in, READ_SIZE);
    ssize_t got = recv(c->fd, c->in.data + c->in.end, READ_SIZE, 0);
    if (got > 0) {
        c->in.end += (size_t)got;
        return 0;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void serve(struct conn *c, uint32_t events)
{
    int lost = events & (EPOLLERR | EPOLLHUP) ? -1 : 0;
    if (!lost && events & EPOLLIN)
        lost = receive(c);
    size_t before;
    do {
        if (lost)
            break;
        before = buf_size(&c->in);
        advance(c);
        lost = flush(c);
    } while (!buf_size(&c->out) && (c->at == C_LOG || before != buf_size(&c->in)));
    if (lost)
        drop(c);
    else
        watch(c, buf_size(&c->out) ? EPOLLOUT : EPOLLIN);
}

static void welcome(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct conn *c = calloc(1, sizeof *c);
        if (!c) {
            close(fd);
            return;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c->fd = fd;
        watch(c, EPOLLIN);
    }
}

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) {
        perror("guestd");
        exit(1);
    }
    return fd;
}

static int parse_options(int argc, char **argv)
{
    int port = 80;
    long rate = 0, size = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--port"))
            port = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--keys"))
            honour_keys = !strcmp(argv[i + 1], "honour");
        else if (!strcmp(argv[i], "--dirty-rate"))
            rate = atol(argv[i + 1]);
        else if (!strcmp(argv[i], "--dirty-size"))
            size = atol(argv[i + 1]);
    }
    dirty_set(rate, size);
    return port;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files = {65536, 65536};
    setrlimit(RLIMIT_NOFILE, &files);
    dirty_start();
    setpriority(PRIO_PROCESS, 0, -10);
    int listener = listen_on(parse_options(argc, argv));
    app_init();
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, ready[AT_ONCE];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    printf("guestd: ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poller, ready, AT_ONCE, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr)
                serve(ready[i].data.ptr, ready[i].events);
            else
                welcome(listener);
        }
    }
}
