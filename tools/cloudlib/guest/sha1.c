/* SHA-1 as FIPS 180-4 describes it. It names bodies in the log; it guards
 * nothing. */
#include <string.h>

#include "guest.h"

static uint32_t rol(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void step(uint32_t state[5], const uint8_t block[64])
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16
               | block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20)
            f = (b & c) | (~b & d), k = 0x5a827999;
        else if (i < 40)
            f = b ^ c ^ d, k = 0x6ed9eba1;
        else if (i < 60)
            f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
        else
            f = b ^ c ^ d, k = 0xca62c1d6;
        uint32_t next = rol(a, 5) + f + e + k + w[i];
        e = d, d = c, c = rol(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void sha1_init(struct sha1 *s)
{
    static const uint32_t first[5] = {0x67452301, 0xefcdab89, 0x98badcfe,
                                      0x10325476, 0xc3d2e1f0};
    memcpy(s->state, first, sizeof first);
    s->length = 0;
}

void sha1_update(struct sha1 *s, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size) {
        size_t used = s->length % 64, piece = 64 - used;
        if (piece > size)
            piece = size;
        memcpy(s->block + used, p, piece);
        s->length += piece, p += piece, size -= piece;
        if (s->length % 64 == 0)
            step(s->state, s->block);
    }
}

void sha1_final(struct sha1 *s, uint8_t digest[20])
{
    uint64_t bits = s->length * 8;
    uint8_t pad[72] = {0x80}, tail[8];
    size_t size = (s->length % 64 < 56 ? 56 : 120) - s->length % 64;
    for (int i = 0; i < 8; i++)
        tail[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha1_update(s, pad, size);
    sha1_update(s, tail, 8);
    for (int i = 0; i < 20; i++)
        digest[i] = (uint8_t)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}
