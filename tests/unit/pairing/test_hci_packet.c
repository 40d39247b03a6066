/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pairing/hci_packet.h"
#include "pairing/mgmt_packet.h"

/* ---- HCI ---- */

static void asks_for_a_connection(void **state SH_UNUSED)
{
    uint8_t packet[SH_HCI_READ_RSSI_SIZE];
    static const uint8_t expected[] = {0x01, 0x05, 0x14, 0x02, 0x2a, 0x0e};
    sh_hci_read_rssi(0x0e2a, packet);
    assert_memory_equal(packet, expected, sizeof(expected));
}

static void reads_a_level(void **state SH_UNUSED)
{
    static const uint8_t packet[] = {0x04, 0x0e, 0x07, 0x01, 0x05, 0x14, 0x00, 0x2a, 0x00, 0xd3};
    struct sh_hci_rssi answer;
    assert_true(sh_hci_rssi_answer(SH_BYTES(packet, sizeof(packet)), &answer));
    assert_int_equal(answer.status, 0);
    assert_true(answer.has_handle);
    assert_int_equal(answer.handle, 0x2a);
    assert_int_equal(answer.dbm, -45);
}

static void levels_that_do_not_exist_are_none(void **state SH_UNUSED)
{
    uint8_t packet[] = {0x04, 0x0e, 0x07, 0x01, 0x05, 0x14, 0x00, 0x2a, 0x00, 0};
    static const uint8_t none[] = {0x7f, 0x80, 21, 100};
    struct sh_hci_rssi answer;
    for (size_t i = 0; i < sizeof(none); i++) {
        packet[9] = none[i];
        assert_true(sh_hci_rssi_answer(SH_BYTES(packet, sizeof(packet)), &answer));
        assert_int_equal(answer.dbm, SH_HCI_NO_RSSI);
    }
}

static void reads_refusals(void **state SH_UNUSED)
{
    static const uint8_t status[] = {0x04, 0x0f, 0x04, 0x01, 0x01, 0x05, 0x14};
    static const uint8_t cut[] = {0x04, 0x0e, 0x04, 0x01, 0x05, 0x14, 0x01};
    static const uint8_t gone[] = {0x04, 0x0e, 0x07, 0x01, 0x05, 0x14, 0x02, 0x2a, 0x00, 0x00};
    struct sh_hci_rssi answer;
    assert_true(sh_hci_rssi_answer(SH_BYTES(status, sizeof(status)), &answer));
    assert_int_equal(answer.status, SH_HCI_UNKNOWN_COMMAND);
    assert_false(answer.has_handle);
    assert_true(sh_hci_rssi_answer(SH_BYTES(cut, sizeof(cut)), &answer));
    assert_int_equal(answer.status, SH_HCI_UNKNOWN_COMMAND);
    assert_true(sh_hci_rssi_answer(SH_BYTES(gone, sizeof(gone)), &answer));
    assert_int_equal(answer.status, SH_HCI_UNKNOWN_CONNECTION);
    assert_int_equal(answer.handle, 0x2a);
}

static void other_events_are_not_ours(void **state SH_UNUSED)
{
    static const uint8_t other[] = {0x04, 0x0e, 0x07, 0x01, 0x03, 0x0c, 0x00, 0x2a, 0x00, 0xd3};
    static const uint8_t data[] = {0x02, 0x0e, 0x07, 0x01, 0x05, 0x14, 0x00, 0x2a, 0x00, 0xd3};
    static const uint8_t accepted[] = {0x04, 0x0f, 0x04, 0x00, 0x01, 0x05, 0x14};
    static const uint8_t handle[] = {0x04, 0x0e, 0x07, 0x01, 0x05, 0x14, 0x00, 0x00, 0xf0, 0xd3};
    struct sh_hci_rssi answer;
    assert_false(sh_hci_rssi_answer(SH_BYTES(other, sizeof(other)), &answer));
    assert_false(sh_hci_rssi_answer(SH_BYTES(data, sizeof(data)), &answer));
    assert_false(sh_hci_rssi_answer(SH_BYTES(accepted, sizeof(accepted)), &answer));
    assert_false(sh_hci_rssi_answer(SH_BYTES(handle, sizeof(handle)), &answer));
}

/* Cut at every octet, also where the length says otherwise. */
static void cut_events_are_not_read(void **state SH_UNUSED)
{
    static const uint8_t packet[] = {0x04, 0x0e, 0x07, 0x01, 0x05, 0x14, 0x00, 0x2a, 0x00, 0xd3};
    struct sh_hci_rssi answer;
    for (size_t n = 0; n < sizeof(packet); n++) {
        uint8_t shorter[sizeof(packet)] = {0};
        for (size_t i = 0; i < n; i++)
            shorter[i] = packet[i];
        assert_false(sh_hci_rssi_answer(SH_BYTES(shorter, n), &answer));
        if (n < 3)
            continue;
        shorter[2] = (uint8_t)(n - 3);
        assert_false(sh_hci_rssi_answer(SH_BYTES(shorter, n), &answer));
    }
    uint8_t says_less[sizeof(packet)];
    memcpy(says_less, packet, sizeof(packet));
    says_less[2] = 6; /* what stands behind its parameters is none of them */
    assert_false(sh_hci_rssi_answer(SH_BYTES(says_less, sizeof(says_less)), &answer));
}

/* ---- management ---- */

static void asks_the_kernel(void **state SH_UNUSED)
{
    uint8_t packet[SH_MGMT_ASK_MAX];
    static const uint8_t address[] = {1, 2, 3, 4, 5, 6};
    static const uint8_t info[] = {0x04, 0x00, 0x01, 0x00, 0x00, 0x00};
    static const uint8_t conn[] = {0x31, 0x00, 0x01, 0x00, 0x07, 0x00, 1, 2, 3, 4, 5, 6, 2};
    assert_int_equal(sh_mgmt_ask_info(1, packet), sizeof(info));
    assert_memory_equal(packet, info, sizeof(info));
    assert_int_equal(sh_mgmt_ask_conn_info(1, address, 2, packet), sizeof(conn));
    assert_memory_equal(packet, conn, sizeof(conn));
}

static const uint8_t info_answer[] = {
    0x01, 0x00, 0x01, 0x00, 23,   0x00, 0x04, 0x00, 0x00,       /* complete, hci1 */
    1,    2,    3,    4,    5,    6,    9,    0xf1, 0x05,       /* address, version, maker */
    0xff, 0xff, 0x01, 0x00, 0xc1, 0x2e, 0x00, 0x00, 0x00, 0, 0, /* supported, current, class */
};

static void reads_settings(void **state SH_UNUSED)
{
    struct sh_mgmt_answer answer;
    assert_true(sh_mgmt_answer_read(SH_BYTES(info_answer, sizeof(info_answer)), &answer));
    assert_int_equal(answer.opcode, SH_MGMT_READ_INFO);
    assert_int_equal(answer.index, 1);
    assert_int_equal(answer.settings, 0x2ec1);
    assert_true(answer.settings & SH_MGMT_PRIVACY);
    assert_true(answer.settings & SH_MGMT_POWERED);
}

static const uint8_t conn_answer[] = {
    0x01, 0x00, 0x00, 0x00, 13, 0x00, 0x31, 0x00, 0x00, 1, 2, 3, 4, 5, 6, 2, 0xd3, 0x04, 0x07,
};

static void reads_connections(void **state SH_UNUSED)
{
    struct sh_mgmt_answer answer;
    static const uint8_t address[] = {1, 2, 3, 4, 5, 6};
    assert_true(sh_mgmt_answer_read(SH_BYTES(conn_answer, sizeof(conn_answer)), &answer));
    assert_int_equal(answer.opcode, SH_MGMT_CONN_INFO);
    assert_true(answer.has_address);
    assert_memory_equal(answer.address, address, sizeof(address));
    assert_int_equal(answer.type, 2);
    assert_int_equal(answer.rssi_dbm, -45);
}

static void reads_what_the_kernel_refuses(void **state SH_UNUSED)
{
    static const uint8_t denied[] = {0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x31, 0x00, 0x14};
    static const uint8_t other[] = {0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x05, 0x00, 0x14};
    static const uint8_t event[] = {0x06, 0x00, 0x00, 0x00, 0x04, 0x00, 0xc1, 0x2e, 0x00, 0x00};
    struct sh_mgmt_answer answer;
    assert_true(sh_mgmt_answer_read(SH_BYTES(denied, sizeof(denied)), &answer));
    assert_int_equal(answer.status, SH_MGMT_PERMISSION_DENIED);
    assert_false(answer.has_address);
    assert_false(sh_mgmt_answer_read(SH_BYTES(other, sizeof(other)), &answer));
    assert_false(sh_mgmt_answer_read(SH_BYTES(event, sizeof(event)), &answer));
}

static void cut_and_long_ones(void **state SH_UNUSED)
{
    struct sh_mgmt_answer answer;
    uint8_t packet[64] = {0};
    for (size_t n = 0; n < sizeof(conn_answer); n++)
        assert_false(sh_mgmt_answer_read(SH_BYTES(conn_answer, n), &answer));
    for (size_t n = 9; n < sizeof(conn_answer); n++) {
        for (size_t i = 0; i < n; i++)
            packet[i] = conn_answer[i];
        packet[4] = (uint8_t)(n - 6);
        assert_false(sh_mgmt_answer_read(SH_BYTES(packet, n), &answer));
    }
    /* Newer kernels may say more. */
    for (size_t i = 0; i < sizeof(conn_answer); i++)
        packet[i] = conn_answer[i];
    packet[4] = 58;
    assert_true(sh_mgmt_answer_read(SH_BYTES(packet, sizeof(packet)), &answer));
    assert_int_equal(answer.rssi_dbm, -45);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_a_connection),
        cmocka_unit_test(reads_a_level),
        cmocka_unit_test(levels_that_do_not_exist_are_none),
        cmocka_unit_test(reads_refusals),
        cmocka_unit_test(other_events_are_not_ours),
        cmocka_unit_test(cut_events_are_not_read),
        cmocka_unit_test(asks_the_kernel),
        cmocka_unit_test(reads_settings),
        cmocka_unit_test(reads_connections),
        cmocka_unit_test(reads_what_the_kernel_refuses),
        cmocka_unit_test(cut_and_long_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
