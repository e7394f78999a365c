#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

void buf_reserve(struct buf *b, size_t more)
{
    if (b->end + more <= b->room)
        return;
    if (b->start) {
        memmove(b->data, b->data + b->start, buf_size(b));
        b->end -= b->start;
        b->start = 0;
    }
    if (b->end + more <= b->room)
        return;
    size_t room = b->room ? b->room : 2048;
    while (room < b->end + more)
        room *= 2;
    b->data = realloc(b->data, room);
    if (!b->data)
        abort();
    b->room = room;
}

void buf_add(struct buf *b, const void *data, size_t size)
{
    buf_reserve(b, size);
    memcpy(b->data + b->end, data, size);
    b->end += size;
}

void buf_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (size > 0)
        buf_add(b, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
}

void buf_consume(struct buf *b, size_t size)
{
    b->start += size;
    if (b->start == b->end)
        b->start = b->end = 0;
}

void buf_free(struct buf *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}
