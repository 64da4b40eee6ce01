// Sorting along rows, ranks of rows without sorting them, the commonest value, the order of whole rows, and searching in
// sorted ones. Elements become unsigned keys in the same order (NaN last, -0 equal to 0) that travel with their index:
//   up to 128 elements    an element's place is the number of keys before it, counted without a branch
//   more                  radix sort from the lowest digit, stable, 8 bits a pass: 256 places to write to fit L1, 2048 take twice as long
//   the first few         a buffer of the best so far: what is no better than its worst is passed over, a vector at a time
//   one rank              radix selection from the highest digit: n + n / 2^11 + ... keys are read
// One long row is cut into pieces that count and move for themselves. 1M floats: 9 ms on one core, PyTorch takes 147.
#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/entries.h"

namespace tessel::TESSEL_TARGET {
namespace {

constexpr int64_t kShort = 128;
constexpr int kDigits = 1 << 8;          // of sorting
constexpr int kSelectDigits = 1 << 11;   // of selection
constexpr int64_t kFew = 1024;           // so many are the first few
constexpr int64_t kLong = 1 << 17;       // a row worth cutting
constexpr int64_t kPiece = 1 << 15, kPieces = 32;

template <class T> struct Type {};

template <class F> ParallelBody for_dtype(DType dtype, F body) {
  switch (dtype) {
    case DType::bool_: return body(Type<Bool>());
    case DType::uint8: return body(Type<uint8_t>());
    case DType::int8: return body(Type<int8_t>());
    case DType::int16: return body(Type<int16_t>());
    case DType::int32: return body(Type<int32_t>());
    case DType::int64: return body(Type<int64_t>());
    case DType::float16: return body(Type<Half>());
    case DType::bfloat16: return body(Type<BFloat>());
    case DType::float64: return body(Type<double>());
    default: return body(Type<float>());
  }
}

// ---- keys

template <class T> struct Traits {
  using Key = typename Choose<sizeof(T) == 8, uint64_t, uint32_t>::type;
  static constexpr int bits = sizeof(T) * 8;
};

template <class T> constexpr bool has_nan = is_real<T> || same<T, Half> || same<T, BFloat>;

// Floats: a negative one is turned over, any other gets the top bit. Nothing here branches.
template <class T> auto key_of(T x) -> typename Traits<T>::Key {
  using Key = typename Traits<T>::Key;
  constexpr int sign = Traits<T>::bits - 1;
  constexpr Key top = Key(1) << sign, all = top | (top - 1);
  if constexpr (has_nan<T>) {
    Key bits;
    if constexpr (is_real<T>) bits = bit_cast<Key>(x);
    else bits = x.bits;
    constexpr Key infinity = same<T, double> ? Key(0x7ff) << (sign - 11) : same<T, Half> ? 0x7c00 : same<T, BFloat> ? 0x7f80 : 0x7f800000;
    Key magnitude = bits & (top - 1), turned = bits ^ ((Key(0) - (bits >> sign)) | top);
    Key key = magnitude == 0 ? top : turned & all;
    return magnitude > infinity ? all : key;
  } else if constexpr (same<T, Bool>) {
    return x.value;
  } else if constexpr (T(-1) < T(0)) {
    return (Key(x) ^ top) & all;
  } else {
    return x;
  }
}

// The element a key came from, but for NaN and -0.
template <class T> T element_of(typename Traits<T>::Key key) {
  using Key = typename Traits<T>::Key;
  constexpr Key top = Key(1) << (Traits<T>::bits - 1), all = top | (top - 1);
  if constexpr (is_real<T>) return bit_cast<T>(key & top ? key ^ top : ~key);
  else if constexpr (same<T, Half> || same<T, BFloat>) return {uint16_t(key & top ? key ^ top : ~key & all)};
  else if constexpr (same<T, Bool>) return {uint8_t(key)};
  else if constexpr (T(-1) < T(0)) return T(key ^ top);
  else return T(key);
}

template <class T> constexpr auto kAll = typename Traits<T>::Key(-1) >> (sizeof(typename Traits<T>::Key) * 8 - Traits<T>::bits);

template <class Key> struct Item {
  Key key;
  uint32_t index;
};

// ---- sorting items

template <class Key> void sort_short(Item<Key>* items, int n) {
  Key keys[kShort];
  Item<Key> sorted[kShort];
  for (int i = 0; i < n; ++i) keys[i] = items[i].key;
  for (int i = 0; i < n; ++i) {
    Key key = keys[i];
    uint32_t place = 0;
    for (int j = 0; j < i; ++j) place += keys[j] <= key;
    for (int j = i + 1; j < n; ++j) place += keys[j] < key;
    sorted[place] = items[i];
  }
  memcpy(items, sorted, size_t(n) * sizeof *items);
}

template <class Key> struct RadixPass {
  const Item<Key>* from;
  Item<Key>* to;
  int64_t n, piece;
  int shift;
  uint32_t* counts;  // [pieces][kDigits], then places

  int digit(Key key) const { return int(key >> shift) & (kDigits - 1); }
  int64_t end(int64_t k) const { return (k + 1) * piece < n ? (k + 1) * piece : n; }
};

template <class Key> void radix_count(void* context, int64_t begin, int64_t end, int) {
  const RadixPass<Key>& pass = *(const RadixPass<Key>*)context;
  for (int64_t k = begin; k < end; ++k) {
    uint32_t* counts = pass.counts + k * kDigits;
    memset(counts, 0, kDigits * sizeof *counts);
    for (int64_t i = k * pass.piece; i < pass.end(k); ++i) ++counts[pass.digit(pass.from[i].key)];
  }
}

template <class Key> void radix_move(void* context, int64_t begin, int64_t end, int) {
  const RadixPass<Key>& pass = *(const RadixPass<Key>*)context;
  for (int64_t k = begin; k < end; ++k) {
    uint32_t* places = pass.counts + k * kDigits;
    for (int64_t i = k * pass.piece; i < pass.end(k); ++i) pass.to[places[pass.digit(pass.from[i].key)]++] = pass.from[i];
  }
}

// Sorts n items by the low `bits` of their keys, with room for as many; gives back which of the two holds the result.
template <class Key>
Item<Key>* sort_items(Item<Key>* items, Item<Key>* room, int64_t n, int bits, uint32_t* counts, int64_t pieces) {
  if (n <= kShort) {
    sort_short(items, int(n));
    return items;
  }
  for (int shift = 0; shift < bits; shift += 8) {
    RadixPass<Key> pass = {items, room, n, (n + pieces - 1) / pieces, shift, counts};
    if (pieces == 1) radix_count<Key>(&pass, 0, 1, 0);
    else parallel_for(pieces, 1, radix_count<Key>, &pass);
    uint32_t place = 0;
    bool one_digit = false;
    for (int d = 0; d < kDigits; ++d) {
      uint32_t before = place;
      for (int64_t k = 0; k < pieces; ++k) {
        uint32_t here = counts[k * kDigits + d];
        counts[k * kDigits + d] = place;
        place += here;
      }
      one_digit |= place - before == uint64_t(n);
    }
    if (one_digit) continue;  // all keys share it
    if (pieces == 1) radix_move<Key>(&pass, 0, 1, 0);
    else parallel_for(pieces, 1, radix_move<Key>, &pass);
    Item<Key>* sorted = room;
    room = items;
    items = sorted;
  }
  return items;
}

// ---- selection: the key of that rank, and how many keys are less

template <class Key> struct Selected {
  Key key;
  int64_t less;
};

template <class Key> Selected<Key> select_key(const Key* keys, Key* room, int64_t n, int64_t rank, int bits, uint32_t* counts) {
  int64_t less = 0;
  const Key* from = keys;
  Key prefix = 0;
  for (int shift = bits; shift > 0;) {
    int width = shift < 11 ? shift : 11, digits = 1 << width;
    shift -= width;
    memset(counts, 0, size_t(digits) * sizeof *counts);
    for (int64_t i = 0; i < n; ++i) ++counts[int(from[i] >> shift) & (digits - 1)];
    int digit = 0;
    for (; rank - less >= int64_t(counts[digit]); ++digit) less += counts[digit];
    prefix |= Key(digit) << shift;
    if (shift == 0) break;
    int64_t kept = 0;
    for (int64_t i = 0; i < n; ++i) {  // in place from the second digit on: what is kept moves forward
      Key key = from[i];
      room[kept] = key;
      kept += int(key >> shift & Key(digits - 1)) == digit;
    }
    from = room;
    n = kept;
  }
  return {prefix, less};
}

// ---- rows

struct Row {
  const char* x;
  char *values, *indices;
};

Row row_of(const SortArgs& args, int64_t row) {
  const Loop& loop = args.loop;
  Row r = {loop.operand[1].data, loop.operand[0].data, loop.operand[2].data};
  for (int d = 0; d < loop.ndim; ++d) {
    int64_t at = row % loop.sizes[d];
    row /= loop.sizes[d];
    r.x += at * loop.operand[1].strides[d];
    r.values += at * loop.operand[0].strides[d];
    r.indices += at * loop.operand[2].strides[d];
  }
  return r;
}

bool first_few(const SortArgs& args) {
  return args.order == Order::ranks && args.first == 0 && args.count <= kFew && args.count <= args.n / 8 && args.n > kShort;
}
bool selects(const SortArgs& args) { return args.order != Order::mode && args.count == 1 && args.n > kShort; }

// What a worker needs at once: two arrays of n items (or of keys, with room for the selected), and counts.
int64_t item_room(const SortArgs& args) {
  int64_t bytes = item_bytes(args.loop.operand[1].dtype) == 8 ? 16 : 8;
  return (args.n * bytes + 63) / 64 * 64;
}
int64_t cuts(const SortArgs& args) {
  bool cut = args.loop.numel < 8 && args.n >= kLong && !first_few(args) && !selects(args);
  int64_t pieces = args.n / kPiece;
  return cut ? (pieces < kPieces ? pieces : kPieces) : 1;
}
int64_t counts_room(const SortArgs& args) {
  int64_t counts = cuts(args) * kDigits;
  return (counts > kSelectDigits ? counts : kSelectDigits) * int64_t(sizeof(uint32_t));
}
int64_t row_room(const SortArgs& args) { return 2 * item_room(args) + counts_room(args); }

struct SortWork {
  const SortArgs* args;
  char* scratch;
};

template <class T> void put(const SortArgs& args, const Row& row, int64_t i, uint32_t index) {
  *(T*)(row.values + i * args.out_stride) = *(const T*)(row.x + int64_t(index) * args.x_stride);
  *(int64_t*)(row.indices + i * args.index_stride) = index;
}

// The rank that a median asks for, among n keys of which `nans` belong to no number.
int64_t median_rank(Order order, int64_t n, int64_t nans) {
  if (order == Order::nanmedian) return nans == n ? 0 : (n - nans - 1) / 2;
  return nans ? n - nans : (n - 1) / 2;  // the first NaN
}

// The start of the longest run of equal keys; of equally long ones the first.
template <class Key> int64_t longest_run(const Item<Key>* items, int64_t n) {
  int64_t best = 0, length = 0;
  for (int64_t i = 0; i < n;) {
    int64_t j = i + 1;
    while (j < n && items[j].key == items[i].key) ++j;
    if (j - i > length) best = j - 1, length = j - i;
    i = j;
  }
  return best;
}

template <class T> void sort_row(const SortArgs& args, const Row& row, char* scratch) {
  using Key = typename Traits<T>::Key;
  Key flip = args.descending ? kAll<T> : Key(0);
  auto* items = (Item<Key>*)scratch;
  auto* room = (Item<Key>*)(scratch + item_room(args));
  auto* counts = (uint32_t*)(scratch + 2 * item_room(args));
  int64_t nans = 0, zeros = 0;
  for (int64_t i = 0; i < args.n; ++i) {
    T x = *(const T*)(row.x + i * args.x_stride);
    Key key = key_of(x);
    if constexpr (has_nan<T>) nans += key == kAll<T>, zeros += key == key_of(T{});
    items[i] = {Key(key ^ flip), uint32_t(i)};
  }
  items = sort_items(items, room, args.n, Traits<T>::bits, counts, cuts(args));
  int64_t first = args.first;
  if (args.order == Order::mode) first = longest_run(items, args.n);
  else if (args.order != Order::ranks) first = median_rank(args.order, args.n, nans);
  if (nans || zeros || args.count == 1) {
    for (int64_t i = 0; i < args.count; ++i) put<T>(args, row, i, items[first + i].index);
    return;
  }
  for (int64_t i = 0; i < args.count; ++i) {  // keys tell the values: x need not be read in another order
    Item<Key> item = items[first + i];
    *(T*)(row.values + i * args.out_stride) = element_of<T>(item.key ^ flip);
    *(int64_t*)(row.indices + i * args.index_stride) = item.index;
  }
}

template <class T> void select_row(const SortArgs& args, const Row& row, char* scratch) {
  using Key = typename Traits<T>::Key;
  Key flip = args.descending ? kAll<T> : Key(0);
  auto *keys = (Key*)scratch, *room = (Key*)(scratch + item_room(args));
  auto* counts = (uint32_t*)(scratch + 2 * item_room(args));
  int64_t nans = 0;
  for (int64_t i = 0; i < args.n; ++i) {
    Key key = key_of(*(const T*)(row.x + i * args.x_stride));
    if constexpr (has_nan<T>) nans += key == kAll<T>;
    keys[i] = key ^ flip;
  }
  int64_t rank = args.order == Order::ranks ? args.first : median_rank(args.order, args.n, nans);
  Selected<Key> found = select_key(keys, room, args.n, rank, Traits<T>::bits, counts);
  int64_t equal = rank - found.less, i = 0;  // among equals the ranks follow the indices
  for (;; ++i)
    if (keys[i] == found.key && equal-- == 0) break;
  put<T>(args, row, 0, uint32_t(i));
}

// The best so far stand sorted at the front of a buffer, behind them those that came later and beat the worst of them. When
// it is full, it is sorted and cut again. Of n random elements some k * log(n / k) get in.
template <class T> void first_few_row(const SortArgs& args, const Row& row, char* scratch) {
  using Key = typename Traits<T>::Key;
  constexpr int64_t block = 64;
  Key flip = args.descending ? kAll<T> : Key(0), keys[block], worst = 0;
  auto* best = (Item<Key>*)scratch;
  auto* room = (Item<Key>*)(scratch + item_room(args));
  auto* counts = (uint32_t*)(scratch + 2 * item_room(args));
  int64_t wanted = 2 * args.count, full = wanted > 32 ? wanted : 32, found = 0;
  auto cut = [&] {
    Item<Key>* sorted = sort_items(best, room, found, Traits<T>::bits, counts, 1);
    if (sorted != best) memcpy(best, sorted, size_t(args.count) * sizeof *best);
    found = args.count;
    worst = best[found - 1].key;
  };
  for (int64_t begin = 0; begin < args.n; begin += block) {
    int64_t n = args.n - begin < block ? args.n - begin : block;
    const char* x = row.x + begin * args.x_stride;
    int hits = 0;
    if (args.x_stride == sizeof(T) && n == block) {
      for (int i = 0; i < block; ++i) keys[i] = key_of(((const T*)x)[i]) ^ flip;
    } else {
      for (int64_t i = 0; i < n; ++i) keys[i] = key_of(*(const T*)(x + i * args.x_stride)) ^ flip;
      for (int64_t i = n; i < block; ++i) keys[i] = kAll<T>;
    }
    for (int i = 0; i < block; ++i) hits += keys[i] < worst;
    if (hits == 0 && begin >= full) continue;
    for (int64_t i = 0; i < n; ++i) {
      if (keys[i] >= worst && begin + i >= full) continue;
      best[found++] = {keys[i], uint32_t(begin + i)};
      if (found == full) cut();
    }
  }
  cut();
  for (int64_t i = 0; i < args.count; ++i) put<T>(args, row, i, best[i].index);
}

template <class T> void sort_piece(void* context, int64_t begin, int64_t end, int worker) {
  const SortWork& work = *(const SortWork*)context;
  char* scratch = work.scratch + worker * row_room(*work.args);
  for (int64_t i = begin; i < end; ++i) {
    Row row = row_of(*work.args, i);
    if (first_few(*work.args)) first_few_row<T>(*work.args, row, scratch);
    else if (selects(*work.args)) select_row<T>(*work.args, row, scratch);
    else sort_row<T>(*work.args, row, scratch);
  }
}

// ---- the order of whole rows: merge sort, comparing lexicographically

template <class T> bool row_before(const T* a, const T* b, int64_t m) {
  for (int64_t j = 0; j < m; ++j) {
    auto ka = key_of(a[j]), kb = key_of(b[j]);
    if (ka != kb) return ka < kb;
  }
  return false;
}

template <class T> void order_rows(void* context, int64_t, int64_t, int) {
  const SortRowsArgs& args = *(const SortRowsArgs*)context;
  const T* x = (const T*)args.x;
  int64_t *from = args.order, *to = args.room;
  for (int64_t i = 0; i < args.n; ++i) from[i] = i;
  for (int64_t width = 1; width < args.n; width *= 2) {
    for (int64_t begin = 0; begin < args.n; begin += 2 * width) {
      int64_t middle = begin + width < args.n ? begin + width : args.n, end = middle + width < args.n ? middle + width : args.n;
      for (int64_t i = begin, j = middle, k = begin; k < end; ++k) {
        bool second = i == middle || (j < end && row_before(x + from[j] * args.m, x + from[i] * args.m, args.m));
        to[k] = second ? from[j++] : from[i++];
      }
    }
    int64_t* sorted = to;
    to = from;
    from = sorted;
  }
  if (from != args.order) memcpy(args.order, from, size_t(args.n) * sizeof(int64_t));
}

// ---- searching

template <class T> auto number(T x) {
  if constexpr (same<T, Half> || same<T, BFloat>) return to_float(x);
  else if constexpr (same<T, Bool>) return x.value;
  else return x;
}

// The number of elements that lie before the value (right: not behind it), without a branch that is hard to foresee. A NaN
// lies behind everything.
template <class T, bool right, bool sorter> void search_piece(void* context, int64_t begin, int64_t end, int) {
  const SearchArgs& args = *(const SearchArgs*)context;
  for (int64_t i = begin; i < end; ++i) {
    int64_t row = args.shared ? 0 : i / args.m;
    const T* sorted = (const T*)args.sorted + row * args.n;
    const int64_t* order = sorter ? args.sorter + row * args.n : nullptr;
    auto value = number(((const T*)args.values)[i]);
    auto before = [&](int64_t at) {
      auto x = number(sorted[sorter ? order[at] : at]);
      return right ? !(x > value) : !(x >= value);
    };
    int64_t low = 0;
    for (int64_t count = args.n; count > 0;) {
      int64_t half = (count + 1) / 2;
      low += before(low + half - 1) ? half : 0;
      count -= half;
    }
    if (args.narrow) ((int32_t*)args.out)[i] = int32_t(low);
    else ((int64_t*)args.out)[i] = low;
  }
}

template <class T> ParallelBody search_body(const SearchArgs& args) {
  if (args.sorter) return args.right ? search_piece<T, true, true> : search_piece<T, false, true>;
  return args.right ? search_piece<T, true, false> : search_piece<T, false, false>;
}

}  // namespace

// Rows that one task takes; where it takes them all, only the caller works.
static int64_t grain_of(const SortArgs& args) {
  return cuts(args) > 1 ? args.loop.numel : args.n < 4096 ? 4096 / (args.n + 1) + 1 : 1;
}

int64_t sort_scratch(const SortArgs& args) { return row_room(args) * (args.loop.numel <= grain_of(args) ? 1 : num_threads()); }

void sort(const SortArgs& args, void* scratch) {
  SortWork work = {&args, (char*)scratch};
  ParallelBody body = for_dtype(args.loop.operand[1].dtype, []<class T>(Type<T>) -> ParallelBody { return sort_piece<T>; });
  int64_t rows = args.loop.numel, grain = grain_of(args);
  if (rows <= grain) body(&work, 0, rows, 0);
  else parallel_for(rows, grain, body, &work);
}

void sort_rows(const SortRowsArgs& args) { for_dtype(args.dtype, []<class T>(Type<T>) -> ParallelBody { return order_rows<T>; })((void*)&args, 0, 1, 0); }

void search(const SearchArgs& args) {
  int64_t n = args.rows * args.m;
  ParallelBody body = for_dtype(args.dtype, [&args]<class T>(Type<T>) { return search_body<T>(args); });
  if (n <= 4096) body((void*)&args, 0, n, 0);
  else parallel_for(n, 4096, body, (void*)&args);
}

}  // namespace tessel::TESSEL_TARGET
