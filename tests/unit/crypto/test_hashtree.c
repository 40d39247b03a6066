/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hashtree.h"

#include "hex.h"

/* The leaves and roots that the Certificate Transparency code base publishes for its Merkle trees. */
static const struct {
    const uint8_t *p;
    size_t n;
    const char *root; /* of the tree up to and with this leaf */
} published[] = {
#define LEAF(text, root)                                                                           \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1, root                                            \
    }
    LEAF("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    LEAF("\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    LEAF("\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    LEAF("\x20\x21", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    LEAF("\x30\x31", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    LEAF("\x40\x41\x42\x43", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    LEAF("\x50\x51\x52\x53\x54\x55\x56\x57",
         "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
    LEAF("\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
};

static void test_published(void **state SH_UNUSED)
{
    struct sh_hashtree tree;
    uint8_t leaf[SH_HASH_SIZE], root[SH_HASH_SIZE];
    sh_hashtree_init(&tree);
    assert_ok(sh_hashtree_root(&tree, root));
    assert_hex(root, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < SH_COUNT(published); i++) {
        assert_ok(sh_leaf_hash(SH_BYTES(published[i].p, published[i].n), leaf));
        assert_ok(sh_hashtree_append(&tree, leaf));
        assert_ok(sh_hashtree_root(&tree, root));
        assert_hex(root, 32, published[i].root);
    }
}

/* The definition of section 2.1.1, word for word. */
static void naive(uint8_t (*leaves)[SH_HASH_SIZE], size_t n, uint8_t out[SH_HASH_SIZE])
{
    uint8_t node[1 + 2 * SH_HASH_SIZE] = {1};
    size_t k = 1;
    if (n == 1) {
        memcpy(out, leaves[0], SH_HASH_SIZE);
        return;
    }
    while (k * 2 < n)
        k *= 2;
    naive(leaves, k, node + 1);
    naive(leaves + k, n - k, node + 1 + SH_HASH_SIZE);
    const struct sh_bytes piece = SH_BYTES(node, sizeof(node));
    assert_ok(sh_sha256(&piece, 1, out));
}

static void test_against_definition(void **state SH_UNUSED)
{
    static uint8_t leaves[1000][SH_HASH_SIZE];
    struct sh_hashtree tree;
    sh_hashtree_init(&tree);
    for (size_t n = 0; n < SH_COUNT(leaves); n++) {
        uint8_t want[SH_HASH_SIZE], got[SH_HASH_SIZE];
        assert_ok(sh_leaf_hash(SH_BYTES(&n, sizeof(n)), leaves[n]));
        assert_ok(sh_hashtree_append(&tree, leaves[n]));
        if (n > 130 && n != 255 && n != 256 && n != 510 && n < 990)
            continue;
        naive(leaves, n + 1, want);
        assert_ok(sh_hashtree_root(&tree, got));
        assert_memory_equal(got, want, sizeof(want));
    }
    assert_int_equal(tree.leaves, 1000);
    assert_int_equal(tree.peak_count, 6); /* 1000 = 0b1111101000 */
}

static void test_order_matters(void **state SH_UNUSED)
{
    struct sh_hashtree one, other;
    uint8_t a[SH_HASH_SIZE], b[SH_HASH_SIZE], root_one[SH_HASH_SIZE], root_other[SH_HASH_SIZE];
    assert_ok(sh_leaf_hash(SH_BYTES("a", 1), a));
    assert_ok(sh_leaf_hash(SH_BYTES("b", 1), b));
    sh_hashtree_init(&one);
    sh_hashtree_init(&other);
    assert_ok(sh_hashtree_append(&one, a));
    assert_ok(sh_hashtree_append(&one, b));
    assert_ok(sh_hashtree_append(&other, b));
    assert_ok(sh_hashtree_append(&other, a));
    assert_ok(sh_hashtree_root(&one, root_one));
    assert_ok(sh_hashtree_root(&other, root_other));
    assert_memory_not_equal(root_one, root_other, SH_HASH_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_order_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
