/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/hci_packet.h"

#define COMMAND_PACKET   0x01
#define EVENT_PACKET     0x04
#define COMMAND_COMPLETE 0x0e /* vol 4 part E section 7.7.14 */
#define COMMAND_STATUS   0x0f /* section 7.7.15 */

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

void sh_hci_read_rssi(uint16_t handle, uint8_t out[SH_HCI_READ_RSSI_SIZE])
{
    out[0] = COMMAND_PACKET;
    out[1] = SH_HCI_READ_RSSI & 0xff;
    out[2] = SH_HCI_READ_RSSI >> 8;
    out[3] = 2; /* octets of parameters */
    out[4] = (uint8_t)(handle & 0xff);
    out[5] = (uint8_t)(handle >> 8);
}

/* count (1) | opcode (2) | status (1) | handle (2) | RSSI (1); a refusal may end after the status. */
static bool complete(struct sh_bytes p, struct sh_hci_rssi *ret_answer)
{
    if (p.n < 4 || get16(p.p + 1) != SH_HCI_READ_RSSI)
        return false;
    struct sh_hci_rssi answer = {.status = p.p[3], .dbm = SH_HCI_NO_RSSI};
    if (p.n >= 6) {
        answer.has_handle = true;
        answer.handle = get16(p.p + 4);
    }
    if (answer.status == 0) {
        if (p.n < 7 || answer.handle > SH_HCI_HANDLE_MAX)
            return false;
        int dbm = p.p[6] < 128 ? p.p[6] : p.p[6] - 256;
        if (dbm >= -127 && dbm <= 20)
            answer.dbm = dbm;
    }
    *ret_answer = answer;
    return true;
}

/* status (1) | count (1) | opcode (2) */
static bool status(struct sh_bytes p, struct sh_hci_rssi *ret_answer)
{
    if (p.n < 4 || p.p[0] == 0 || get16(p.p + 2) != SH_HCI_READ_RSSI)
        return false;
    *ret_answer = (struct sh_hci_rssi){.status = p.p[0], .dbm = SH_HCI_NO_RSSI};
    return true;
}

bool sh_hci_rssi_answer(struct sh_bytes packet, struct sh_hci_rssi *ret_answer)
{
    if (packet.n < 3 || packet.n > SH_HCI_EVENT_MAX || packet.p[0] != EVENT_PACKET ||
        packet.p[2] > packet.n - 3)
        return false;
    struct sh_bytes parameters = SH_BYTES(packet.p + 3, packet.p[2]);
    if (packet.p[1] == COMMAND_COMPLETE)
        return complete(parameters, ret_answer);
    return packet.p[1] == COMMAND_STATUS && status(parameters, ret_answer);
}
