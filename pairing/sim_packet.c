/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/sim_packet.h"

#include <string.h>

#define VERSION        1
#define ADVERT_VERSION 2
#define ADVERT_HEAD    14
#define GREETING_HEAD  4
#define PAYLOAD_MAX    255

size_t sh_sim_advert_write(const struct sh_sim_advert *advert, uint8_t out[SH_SIM_ADVERT_MAX])
{
    size_t name = strlen(advert->name);
    const uint8_t head[] = {'s', 'A', ADVERT_VERSION, (uint8_t)advert->channel};
    memcpy(out, head, sizeof(head));
    for (unsigned i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(advert->number >> (56 - 8 * i));
    out[12] = (uint8_t)-advert->power_db;
    out[13] = (uint8_t)name;
    memcpy(out + ADVERT_HEAD, advert->name, name);
    if (advert->payload.n > 0)
        memcpy(out + ADVERT_HEAD + name, advert->payload.p, advert->payload.n);
    return ADVERT_HEAD + name + advert->payload.n;
}

bool sh_sim_advert_read(struct sh_bytes bytes, struct sh_sim_advert *ret_advert)
{
    const uint8_t *p = bytes.p;
    if (bytes.n < ADVERT_HEAD || p[0] != 's' || p[1] != 'A' || p[2] != ADVERT_VERSION ||
        p[3] < 37 || p[3] > 39 || p[12] > SH_SIM_LOWER_MAX)
        return false;
    size_t name = p[13];
    if (name > bytes.n - ADVERT_HEAD || !sh_sim_name_ok((const char *)p + ADVERT_HEAD, name))
        return false;
    size_t payload = bytes.n - ADVERT_HEAD - name;
    if (payload > PAYLOAD_MAX)
        return false;
    *ret_advert = (struct sh_sim_advert){
        .channel = p[3],
        .power_db = -(int)p[12],
        .payload = SH_BYTES(p + ADVERT_HEAD + name, payload),
    };
    for (unsigned i = 0; i < 8; i++)
        ret_advert->number = ret_advert->number << 8 | p[4 + i];
    memcpy(ret_advert->name, p + ADVERT_HEAD, name);
    return true;
}

size_t sh_sim_greeting_write(const struct sh_sim_greeting *greeting,
                             uint8_t out[SH_SIM_GREETING_MAX])
{
    size_t name = strlen(greeting->name);
    const uint8_t head[GREETING_HEAD] = {'s', 'C', VERSION, greeting->psm};
    memcpy(out, head, sizeof(head));
    memcpy(out + GREETING_HEAD, greeting->name, name);
    return GREETING_HEAD + name;
}

bool sh_sim_greeting_read(struct sh_bytes bytes, struct sh_sim_greeting *ret_greeting)
{
    const uint8_t *p = bytes.p;
    if (bytes.n < GREETING_HEAD || p[0] != 's' || p[1] != 'C' || p[2] != VERSION)
        return false;
    size_t name = bytes.n - GREETING_HEAD;
    if (!sh_sim_name_ok((const char *)p + GREETING_HEAD, name))
        return false;
    *ret_greeting = (struct sh_sim_greeting){.psm = p[3]};
    memcpy(ret_greeting->name, p + GREETING_HEAD, name);
    return true;
}

void sh_sim_answer_write(uint8_t out[SH_SIM_ANSWER_SIZE])
{
    const uint8_t answer[SH_SIM_ANSWER_SIZE] = {'s', 'O', VERSION};
    memcpy(out, answer, sizeof(answer));
}

bool sh_sim_answer_read(struct sh_bytes bytes)
{
    return bytes.n == SH_SIM_ANSWER_SIZE && bytes.p[0] == 's' && bytes.p[1] == 'O' &&
           bytes.p[2] == VERSION;
}
