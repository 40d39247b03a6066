/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/mgmt_packet.h"

#include <string.h>

#define COMMAND_COMPLETE 0x0001
#define COMMAND_STATUS   0x0002

#define HEADER 6 /* opcode, index, length; little endian, 2 octets each */
#define INFO_SIZE                                                                                  \
    20 /* address (6), version (1), manufacturer (2), settings (4), current (4), class (3) */
#define INFO_CURRENT 13
#define CONN_SIZE    10 /* address (6), type (1), RSSI (1), TX power (1), most (1) */
#define CONN_ADDRESS 7

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static void put16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value & 0xff);
    p[1] = (uint8_t)(value >> 8);
}

static size_t ask(uint16_t opcode, uint16_t index, uint16_t n, uint8_t *out)
{
    put16(out, opcode);
    put16(out + 2, index);
    put16(out + 4, n);
    return HEADER + n;
}

size_t sh_mgmt_ask_info(uint16_t index, uint8_t out[SH_MGMT_ASK_MAX])
{
    return ask(SH_MGMT_READ_INFO, index, 0, out);
}

size_t sh_mgmt_ask_conn_info(uint16_t index, const uint8_t address[6], uint8_t type,
                             uint8_t out[SH_MGMT_ASK_MAX])
{
    memcpy(out + HEADER, address, 6);
    out[HEADER + 6] = type;
    return ask(SH_MGMT_CONN_INFO, index, 7, out);
}

/* The return parameters of either command. */
static bool parameters(struct sh_bytes p, struct sh_mgmt_answer *answer)
{
    if (answer->opcode == SH_MGMT_READ_INFO) {
        if (answer->status != 0)
            return true;
        if (p.n < INFO_SIZE)
            return false;
        answer->settings = get16(p.p + INFO_CURRENT) | (uint32_t)get16(p.p + INFO_CURRENT + 2)
                                                           << 16;
        return true;
    }
    if (answer->opcode != SH_MGMT_CONN_INFO)
        return false;
    answer->has_address = p.n >= CONN_ADDRESS;
    if (answer->has_address) {
        memcpy(answer->address, p.p, sizeof(answer->address));
        answer->type = p.p[6];
    }
    if (answer->status != 0)
        return true;
    if (p.n < CONN_SIZE)
        return false;
    int dbm = p.p[7] < 128 ? p.p[7] : p.p[7] - 256;
    answer->rssi_dbm = dbm >= -127 && dbm <= 20 ? dbm : 127;
    return true;
}

bool sh_mgmt_answer_read(struct sh_bytes packet, struct sh_mgmt_answer *ret_answer)
{
    if (packet.n < HEADER + 3 || get16(packet.p + 4) > packet.n - HEADER || get16(packet.p + 4) < 3)
        return false;
    struct sh_bytes p = SH_BYTES(packet.p + HEADER, get16(packet.p + 4));
    struct sh_mgmt_answer answer = {
        .opcode = get16(p.p), .index = get16(packet.p + 2), .status = p.p[2], .rssi_dbm = 127};
    uint16_t event = get16(packet.p);
    bool ours = answer.opcode == SH_MGMT_READ_INFO || answer.opcode == SH_MGMT_CONN_INFO;
    if (event == COMMAND_COMPLETE) {
        if (!parameters(SH_BYTES(p.p + 3, p.n - 3), &answer))
            return false;
    } else if (event != COMMAND_STATUS || answer.status == 0 || !ours) {
        return false;
    }
    *ret_answer = answer;
    return true;
}
