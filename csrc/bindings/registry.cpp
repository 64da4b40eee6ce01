// The argument parser and the callable objects behind every op in Python: hand-written vectorcall, no pybind11.
#include "bindings/rare.h"

#include <structmember.h>
#include <structseq.h>

#include <cctype>
#include <cstring>
#include <map>
#include <memory>

#include "bindings/autocast.h"

namespace tessel::python {

namespace {

enum class Type : uint8_t { tensor, tensor_or_scalar, tensors, scalar, integer, integers, real, reals, boolean, string, dtype, device, generator, object };

struct Parameter {
  Type type;
  bool optional = false;      // None is allowed
  bool keyword_only = false;
  bool varargs = false;       // int[*]
  int repeat = 0;             // int[2]: one int stands for two
  PyObject* name = nullptr;   // interned
  PyObject* default_value = nullptr;  // null: required
};

struct Overload {
  const char* signature;
  const char* doc;
  Caller caller;
  void (*function)();
  // Filled in at the first call:
  bool parsed = false;
  std::vector<Parameter> parameters;
  int positional = 0;
  bool takes_out = false;     // among the parameters
  std::vector<std::string> results;  // names of a named tuple
  PyTypeObject* result_type = nullptr;
};

struct Family {
  std::string name;
  std::vector<Overload> overloads;
  bool is_method = false;
  bool shows_out = false;  // its signature for people names the out= that every function takes
  Precision precision = Precision::given;  // inside an autocast
};

struct OpObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  Family* family;
};

using Families = std::map<std::string, std::unique_ptr<Family>, std::less<>>;
Families functions, methods, nn_functions, private_functions, linalg_functions, optim_functions, special_functions;

// ---- signatures

[[noreturn]] void bad_signature(const char* signature) { fail<RuntimeError>("tessel: can't read the signature '", signature, "'"); }

std::string_view trim(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

std::vector<std::string_view> split_list(std::string_view list) {  // at commas outside brackets
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= list.size(); ++i) {
    if (i == list.size() || (list[i] == ',' && depth == 0)) {
      if (auto part = trim(list.substr(begin, i - begin)); !part.empty()) parts.push_back(part);
      begin = i + 1;
    } else if (list[i] == '(' || list[i] == '[') {
      ++depth;
    } else if (list[i] == ')' || list[i] == ']') {
      --depth;
    }
  }
  return parts;
}

PyObject* parse_default(std::string_view text, const char* signature) {
  if (text == "None") return Py_NewRef(Py_None);
  if (text == "True") return Py_NewRef(Py_True);
  if (text == "False") return Py_NewRef(Py_False);
  if (text.front() == '\'' || text.front() == '"') return PyUnicode_FromStringAndSize(text.data() + 1, text.size() - 2);
  if (text.front() == '[' || text.front() == '(') {
    PyObject* list = PyList_New(0);
    for (auto part : split_list(text.substr(1, text.size() - 2))) PyList_Append(list, Object(parse_default(part, signature)).get());
    PyObject* tuple = PyList_AsTuple(list);
    Py_DECREF(list);
    return tuple;
  }
  std::string number(text);
  bool real = text.find_first_of(".e") != text.npos || text == "inf" || text == "-inf" || text == "nan";
  return real ? PyFloat_FromDouble(std::strtod(number.c_str(), nullptr)) : PyLong_FromString(number.c_str(), nullptr, 10);
}

Parameter parse_parameter(std::string_view text, const char* signature) {
  Parameter p;
  size_t space = text.find(' ');
  if (space == text.npos) bad_signature(signature);
  std::string_view type = text.substr(0, space), rest = trim(text.substr(space));
  if (type.back() == '?') p.optional = true, type.remove_suffix(1);
  if (type == "Tensor") p.type = Type::tensor;
  else if (type == "Tensor|Scalar") p.type = Type::tensor_or_scalar;
  else if (type == "Tensor[]" || type == "Tensor[*]") p.type = Type::tensors, p.varargs = type == "Tensor[*]";
  else if (type == "Scalar") p.type = Type::scalar;
  else if (type == "int") p.type = Type::integer;
  else if (type == "float") p.type = Type::real;
  else if (type == "float[]") p.type = Type::reals;
  else if (type == "bool") p.type = Type::boolean;
  else if (type == "str") p.type = Type::string;
  else if (type == "dtype") p.type = Type::dtype;
  else if (type == "device") p.type = Type::device;
  else if (type == "Generator") p.type = Type::generator;
  else if (type == "object" || type == "object[*]") p.type = Type::object, p.varargs = type == "object[*]";
  else if (type.starts_with("int[")) {
    p.type = Type::integers;
    if (type == "int[*]") p.varargs = true;
    else if (type != "int[]") p.repeat = std::atoi(type.data() + 4);
  } else bad_signature(signature);
  size_t equals = rest.find('=');
  std::string name(trim(rest.substr(0, equals)));
  p.name = PyUnicode_InternFromString(name.c_str());
  if (equals != rest.npos) {
    p.default_value = parse_default(trim(rest.substr(equals + 1)), signature);
    if (p.default_value == Py_None) p.optional = true;
  }
  return p;
}

// Several results, one a line: tensors take many.
PyObject* repr_of_results(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  std::string text = std::string(type->tp_name) + "(";
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    Object shown(PyObject_Repr(PyTuple_GET_ITEM(self, i)));
    const char* utf8 = shown.get() ? PyUnicode_AsUTF8(shown.get()) : nullptr;
    if (!utf8) return nullptr;
    text += std::string(i ? ",\n" : "\n") + type->tp_members[i].name + "=" + utf8;
  }
  return wrap(text + ")");
}

void parse(Overload& overload, const std::string& family) {
  std::string_view text(overload.signature);
  size_t open = text.find('('), arrow = text.rfind("->");
  size_t close = text.rfind(')', arrow == text.npos ? text.npos : arrow);
  if (open == text.npos || close == text.npos) bad_signature(overload.signature);
  bool keyword_only = false;
  for (auto part : split_list(text.substr(open + 1, close - open - 1))) {
    if (part == "*") {
      keyword_only = true;
      continue;
    }
    Parameter p = parse_parameter(part, overload.signature);
    p.keyword_only = keyword_only;
    if (!keyword_only) ++overload.positional;
    if (PyUnicode_CompareWithASCIIString(p.name, "out") == 0) overload.takes_out = true;
    overload.parameters.push_back(p);
  }
  if (arrow != text.npos) {
    auto result = trim(text.substr(arrow + 2));
    if (!result.empty() && result.front() == '(')
      for (auto part : split_list(result.substr(1, result.size() - 2))) {
        size_t space = part.find(' ');
        if (space != part.npos) overload.results.emplace_back(trim(part.substr(space)));
      }
  }
  if (!overload.results.empty()) {
    auto* fields = new PyStructSequence_Field[overload.results.size() + 1]{};
    for (size_t i = 0; i < overload.results.size(); ++i) fields[i].name = overload.results[i].c_str();
    auto* full = new std::string("tessel.return_types." + family);
    PyStructSequence_Desc description{full->c_str(), "", fields, static_cast<int>(overload.results.size())};
    overload.result_type = PyStructSequence_NewType(&description);  // lives as long as the process
    if (overload.result_type) overload.result_type->tp_repr = repr_of_results;
  }
  overload.parsed = true;
}

// ---- arguments

bool is_int(PyObject* o) {
  if (PyLong_Check(o)) return !PyBool_Check(o);
  if (is_tensor(o)) return impl_of(o)->numel == 1 && !is_floating(impl_of(o)->dtype) && impl_of(o)->dtype != DType::bool_ && !is_complex(impl_of(o)->dtype) && !impl_of(o)->grad;
  return PyIndex_Check(o) && !PyBool_Check(o);
}

bool is_sequence(PyObject* o) { return PyTuple_Check(o) || PyList_Check(o); }

bool accepts(const Parameter& p, PyObject* o) {
  if (o == Py_None) return p.optional || p.type == Type::object;
  switch (p.type) {
    case Type::tensor: return is_tensor(o);
    case Type::tensor_or_scalar: return is_tensor(o) || is_number(o);
    case Type::scalar: return is_number(o) || (is_tensor(o) && impl_of(o)->sizes.empty() && !impl_of(o)->grad);  // a number has no gradient
    case Type::integer: return is_int(o);
    case Type::real: return PyFloat_Check(o) || is_int(o) || PyBool_Check(o) || (is_tensor(o) ? impl_of(o)->numel == 1 : is_number(o) && !PyComplex_Check(o));
    case Type::boolean: return PyBool_Check(o) || !std::strcmp(Py_TYPE(o)->tp_name, "numpy.bool") || !std::strcmp(Py_TYPE(o)->tp_name, "numpy.bool_");
    case Type::string: return PyUnicode_Check(o);
    case Type::dtype: return is_dtype(o) || o == reinterpret_cast<PyObject*>(&PyFloat_Type) || o == reinterpret_cast<PyObject*>(&PyLong_Type) || o == reinterpret_cast<PyObject*>(&PyBool_Type);
    case Type::device: return is_device(o) || PyUnicode_Check(o) || is_int(o);
    case Type::generator: return is_generator(o);
    case Type::object: return true;
    case Type::integers:
      if (is_int(o)) return p.repeat > 0;
      if (!is_sequence(o)) return false;
      for (Py_ssize_t i = 0, n = PySequence_Fast_GET_SIZE(o); i < n; ++i)
        if (!is_int(PySequence_Fast_GET_ITEM(o, i))) return false;
      return true;
    case Type::reals: return is_sequence(o);
    case Type::tensors:
      if (!is_sequence(o)) return false;
      for (Py_ssize_t i = 0, n = PySequence_Fast_GET_SIZE(o); i < n; ++i)
        if (!is_tensor(PySequence_Fast_GET_ITEM(o, i))) return false;
      return true;
  }
  return false;
}

// numpy's names for the same things
bool same_name(PyObject* parameter, PyObject* given) {
  if (parameter == given || PyUnicode_Compare(parameter, given) == 0) return true;
  struct Alias { const char* numpy; const char* name; };
  static constexpr Alias aliases[] = {{"axis", "dim"}, {"keepdims", "keepdim"}, {"x", "input"}, {"a", "input"}, {"x1", "input"}, {"x2", "other"}};
  for (const Alias& alias : aliases)
    if (PyUnicode_CompareWithASCIIString(given, alias.numpy) == 0 && PyUnicode_CompareWithASCIIString(parameter, alias.name) == 0) return true;
  return false;
}

constexpr int kMaxParameters = 32;

struct Matched {
  PyObject* slots[kMaxParameters];
  PyObject* out = nullptr;    // out= of an op that does not write there itself
  Object packed;              // keeps a tuple made of separate ints alive
};

// Why a call does not fit an overload: told when none does.
struct Misfit {
  std::string reason;
};

// Fills matched.slots; false where the arguments don't fit (and says why when asked).
bool match(const Overload& o, bool is_method, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames, Matched& m, Misfit* misfit) {
  int n = static_cast<int>(o.parameters.size());
  std::memset(m.slots, 0, n * sizeof(PyObject*));
  m.out = nullptr;
  auto say = [&](auto&&... parts) {
    if (misfit) misfit->reason = join({Part(parts)...});
    return false;
  };
  auto name = [](PyObject* s) { return PyUnicode_AsUTF8(s); };

  int first = is_method ? 1 : 0;  // x.view(2, 3), zeros(2, 3): separate ints stand for a list
  bool spread = false;
  if (o.positional > first && o.parameters[first].varargs && nargs >= first) {
    Type type = o.parameters[first].type;
    spread = nargs > first || (type == Type::tensors && !kwnames);  // which may also be none at all
    for (Py_ssize_t i = first; spread && i < nargs && type != Type::object; ++i) spread = type == Type::tensors ? is_tensor(args[i]) : is_int(args[i]);
  }
  if (spread) {
    if (is_method) m.slots[0] = args[0];
    m.packed = Object(expect(PyTuple_New(nargs - first)));
    for (Py_ssize_t i = first; i < nargs; ++i) PyTuple_SET_ITEM(m.packed.get(), i - first, Py_NewRef(args[i]));
    m.slots[first] = m.packed.get();
  } else {
    if (nargs > o.positional) return say("takes ", o.positional, " positional argument", o.positional == 1 ? "" : "s", " but ", int64_t(nargs), " were given");
    for (Py_ssize_t i = 0; i < nargs; ++i) m.slots[i] = args[i];
  }
  if (kwnames) {
    for (Py_ssize_t k = 0, count = PyTuple_GET_SIZE(kwnames); k < count; ++k) {
      PyObject* given = PyTuple_GET_ITEM(kwnames, k);
      int at = -1;
      for (int i = 0; i < n && at < 0; ++i)
        if (o.parameters[i].name == given) at = i;
      for (int i = 0; i < n && at < 0; ++i)
        if (same_name(o.parameters[i].name, given)) at = i;
      if (at < 0) {
        if (!is_method && !o.takes_out && PyUnicode_CompareWithASCIIString(given, "out") == 0) {
          if (args[nargs + k] != Py_None) m.out = args[nargs + k];
          continue;
        }
        return say("got an unexpected keyword argument '", name(given), "'");
      }
      if (m.slots[at]) return say("got multiple values for argument '", name(given), "'");
      m.slots[at] = args[nargs + k];
    }
  }
  for (int i = 0; i < n; ++i) {
    const Parameter& p = o.parameters[i];
    if (!m.slots[i]) {
      if (!p.default_value) return say("missing required argument '", name(p.name), "' (pos ", i + 1, ")");
      m.slots[i] = p.default_value;
    } else if (!accepts(p, m.slots[i])) {
      PyObject* given = m.slots[i];
      if (p.type == Type::tensors && is_sequence(given)) {
        Py_ssize_t at = 0;
        while (is_tensor(PySequence_Fast_GET_ITEM(given, at))) ++at;
        return say("argument '", name(p.name), "' (position ", i + 1, ") must hold tensors, but entry ", at, " is ", Py_TYPE(PySequence_Fast_GET_ITEM(given, at))->tp_name);
      }
      return say("argument '", name(p.name), "' (position ", i + 1, ") can't be ", Py_TYPE(given)->tp_name);
    }
  }
  return true;
}

[[noreturn]] void no_match(Family& family, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  if (family.overloads.size() == 1) {
    Matched m;
    Misfit misfit;
    match(family.overloads[0], family.is_method, args, nargs, kwnames, m, &misfit);
    fail<TypeError>(family.name, "(): ", misfit.reason, "; expected ", family.overloads[0].signature);
  }
  std::string got, expected;
  Py_ssize_t total = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
  for (Py_ssize_t i = family.is_method ? 1 : 0; i < total; ++i) {
    if (!got.empty()) got += ", ";
    if (i >= nargs) got += std::string(PyUnicode_AsUTF8(PyTuple_GET_ITEM(kwnames, i - nargs))) + "=";
    got += Py_TYPE(args[i])->tp_name;
  }
  for (const Overload& o : family.overloads) expected += std::string("\n * ") + o.signature;
  fail<TypeError>(family.name, "(): received an invalid combination of arguments - got (", got, "), but expected one of:", expected);
}

// Copies results into out=, resizing it, and gives it back.
PyObject* copy_out(const std::string& name, PyObject* result, PyObject* out) {
  Object owned(result);
  auto one = [&](PyObject* r, PyObject* o) {
    check_type(is_tensor(r) && is_tensor(o), name, "(): out= must be a tensor, or a tuple of them where the op has several results");
    Tensor from = to_tensor(r), to = to_tensor(o);
    check(!wants_grad({to}) && !from.requires_grad(), name, ": functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.");
    check_cast(name.c_str(), from.dtype(), to.dtype());
    for (int64_t d = 0; d < to.dim(); ++d)
      check(to.sizes()[d] <= 1 || to.strides()[d] != 0, name, ": unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation.");
    resize_for_out(name.c_str(), to, from.sizes());
    copy_(to, from);
  };
  if (PyTuple_Check(result)) {
    check_type(is_sequence(out) && PySequence_Fast_GET_SIZE(out) == PyTuple_GET_SIZE(result), name, "(): out= must be a tuple of ", int64_t(PyTuple_GET_SIZE(result)), " tensors");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i) one(PyTuple_GET_ITEM(result, i), PySequence_Fast_GET_ITEM(out, i));
  } else {
    one(result, out);
  }
  return Py_NewRef(out);
}

PyObject* call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  Family& family = *reinterpret_cast<OpObject*>(self)->family;
  Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
  try {
    Matched m;
    for (Overload& o : family.overloads) {
      if (!o.parsed) [[unlikely]] parse(o, family.name);
      if (!match(o, family.is_method, args, nargs, kwnames, m, nullptr)) continue;
      PyObject* result;
      if (autocasting.load(std::memory_order_relaxed) && family.precision != Precision::given && !m.out) [[unlikely]] {
        Autocast cast;
        cast.apply(family.precision, m.slots, static_cast<int>(o.parameters.size()));
        result = expect(o.caller(o.function, m.slots));
      } else {
        result = expect(o.caller(o.function, m.slots));
      }
      if (o.result_type && PyTuple_CheckExact(result)) {
        PyObject* named = PyStructSequence_New(o.result_type);
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i) PyStructSequence_SetItem(named, i, Py_NewRef(PyTuple_GET_ITEM(result, i)));
        Py_DECREF(result);
        result = named;
      }
      return m.out ? copy_out(family.name, result, m.out) : result;
    }
    no_match(family, args, nargs, kwnames);
  } catch (const Error& e) {
    raise(e, named_after(family.name, e.what()));
  } catch (...) {
    translate_exception();
  }
  return nullptr;
}

// ---- the callable objects

PyObject* get_name(PyObject* self, void*) { return wrap(reinterpret_cast<OpObject*>(self)->family->name); }
PyObject* get_qualname(PyObject* self, void*) {
  Family& f = *reinterpret_cast<OpObject*>(self)->family;
  return wrap(f.is_method ? "Tensor." + f.name : f.name);
}
PyObject* get_module(PyObject*, void*) { return PyUnicode_FromString("tessel"); }
PyObject* get_doc(PyObject* self, void*) {
  std::string doc;
  for (const Overload& o : reinterpret_cast<OpObject*>(self)->family->overloads) {
    if (!doc.empty()) doc += "\n\n";
    doc += o.signature;
    if (*o.doc) doc += std::string("\n\n") + o.doc;
  }
  return wrap(doc);
}
PyObject* get_text_signature(PyObject* self, void*) {
  Family& family = *reinterpret_cast<OpObject*>(self)->family;
  if (family.overloads.size() > 1) Py_RETURN_NONE;  // one signature cannot tell several; the docs do
  Overload& o = family.overloads[0];
  if (std::string_view(o.signature).find("[*]") != std::string_view::npos) Py_RETURN_NONE;  // a list, or what would be in it
  if (!o.parsed) parse(o, family.name);
  std::string text = "(";
  bool star = false;
  for (const Parameter& p : o.parameters) {
    if (text.size() > 1) text += ", ";
    if (p.keyword_only && !star) text += "*, ", star = true;
    text += family.is_method && text.size() == 1 ? "self" : PyUnicode_AsUTF8(p.name);
    if (p.default_value) {
      Object repr(PyObject_Repr(p.default_value));
      text += std::string("=") + PyUnicode_AsUTF8(repr.get());
    }
  }
  std::string_view result(o.signature);
  result = result.substr(std::min(result.rfind("->"), result.size()));
  if (family.shows_out && !o.takes_out && result.find("Tensor") != result.npos && result.find("Tensor[]") == result.npos) text += star ? ", out=None" : ", *, out=None";
  return wrap(text + ")");
}
PyObject* reduce(PyObject* self, PyObject*) { return get_qualname(self, nullptr); }
PyObject* repr(PyObject* self) {
  Family& f = *reinterpret_cast<OpObject*>(self)->family;
  return PyUnicode_FromFormat(f.is_method ? "<method '%s' of 'tessel.Tensor' objects>" : "<built-in function %s>", f.name.c_str());
}
PyObject* itself(PyObject* self, PyObject*, PyObject*) { return Py_NewRef(self); }
PyObject* bind(PyObject* self, PyObject* object, PyObject*) { return !object || object == Py_None ? Py_NewRef(self) : PyMethod_New(self, object); }

PyGetSetDef getset[] = {{"__name__", get_name, nullptr, nullptr, nullptr}, {"__qualname__", get_qualname, nullptr, nullptr, nullptr},
                        {"__module__", get_module, nullptr, nullptr, nullptr}, {"__doc__", get_doc, nullptr, nullptr, nullptr},
                        {"__text_signature__", get_text_signature, nullptr, nullptr, nullptr}, {}};
PyMethodDef op_methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr}, {}};

PyTypeObject op_type(const char* name, bool method) {
  PyTypeObject type{};
  type.ob_base = {PyObject_HEAD_INIT(nullptr) 0};
  type.tp_name = name;
  type.tp_basicsize = sizeof(OpObject);
  type.tp_vectorcall_offset = offsetof(OpObject, vectorcall);
  type.tp_call = PyVectorcall_Call;
  type.tp_repr = repr;
  type.tp_getset = getset;
  type.tp_methods = op_methods;
  type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL;
  if (method) {
    type.tp_flags |= Py_TPFLAGS_METHOD_DESCRIPTOR;
    type.tp_descr_get = bind;
  } else {
    type.tp_descr_get = itself;  // no method of a class that it stands in; inspect takes it for a routine
  }
  return type;
}

PyTypeObject FunctionType = op_type("tessel.builtin_function", false);
PyTypeObject MethodType = op_type("tessel.builtin_method", true);

PyObject* make_op(Family& family) {
  auto* op = PyObject_New(OpObject, family.is_method ? &MethodType : &FunctionType);
  op->vectorcall = call;
  op->family = &family;
  return reinterpret_cast<PyObject*>(op);
}

}  // namespace

std::string named_after(const std::string& op, const std::string& message) {
  if (op == "backward" || op == "run_backward") return message;
  size_t end = 0;
  while (end < message.size() && (std::isalnum(static_cast<unsigned char>(message[end])) || message[end] == '_')) ++end;
  bool named = end > 0 && message.compare(end, 2, ": ") == 0;
  std::string_view inner(message.data(), named ? end : 0);
  if (inner == op || message.starts_with(op + "(") || inner == "cuda" || inner == "device" || inner == "dtype") return message;
  return op + ": " + message.substr(named ? end + 2 : 0);
}

void add_op(const char* signature, Caller caller, void (*function)(), const char* doc, unsigned where) {
  std::string_view text(signature);
  std::string name(text.substr(0, text.find('(')));
  auto add = [&](Families& families, bool is_method) {
    auto& family = families[name];
    if (!family) {
      family = std::make_unique<Family>(Family{name, {}, is_method, &families == &functions, precision_of(name)});
      if (family->precision == Precision::given && (where & kLinalg)) family->precision = precision_of("linalg_" + name);
    }
    family->overloads.push_back({signature, doc, caller, function});
  };
  if (where & kFunction) add(functions, false);
  if (where & kMethod) add(methods, true);
  if (where & kNN) add(nn_functions, false);
  if (where & kPrivate) add(private_functions, false);
  if (where & kLinalg) add(linalg_functions, false);
  if (where & kOptim) add(optim_functions, false);
  if (where & kSpecial) add(special_functions, false);
}

// [(where, signature, doc)] of every op, for the stubs, the docs and the tests of the house.
static PyObject* list_registry(PyObject*, PyObject*) {
  PyObject* list = PyList_New(0);
  auto add = [list](const char* where, const Families& families) {
    for (const auto& [name, family] : families)
      for (const Overload& o : family->overloads) PyList_Append(list, Object(Py_BuildValue("(sss)", where, o.signature, o.doc)).get());
  };
  add("function", functions), add("method", methods), add("nn", nn_functions), add("private", private_functions);
  add("linalg", linalg_functions), add("optim", optim_functions), add("special", special_functions);
  return list;
}

void install_ops(PyObject* module) {
  if (PyType_Ready(&FunctionType) < 0 || PyType_Ready(&MethodType) < 0) throw PythonException();
  auto fill = [](Families& families, auto&& put) {
    for (auto& [name, family] : families) put(name.c_str(), Object(make_op(*family)).get());
  };
  fill(functions, [module](const char* name, PyObject* op) { PyModule_AddObjectRef(module, name, op); });
  fill(methods, [](const char* name, PyObject* op) { PyDict_SetItemString(TensorType.tp_dict, name, op); });
  for (auto [name, families] : {std::pair{"_nn", &nn_functions}, std::pair{"_ops", &private_functions}, std::pair{"_linalg", &linalg_functions}, std::pair{"_optim", &optim_functions}, std::pair{"_special", &special_functions}}) {
    PyObject* space = PyModule_New((std::string("tessel._C.") + name).c_str());
    fill(*families, [space](const char* op_name, PyObject* op) { PyModule_AddObjectRef(space, op_name, op); });
    PyModule_AddObject(module, name, space);
  }
  static PyMethodDef registry_def = {"_registry", list_registry, METH_NOARGS, "[(where, signature, doc)] of every op."};
  PyModule_AddObject(module, "_registry", PyCFunction_New(&registry_def, nullptr));
  PyType_Modified(&TensorType);
}

// ---- casts that need more than a line

Dims Cast<Dims>::from(PyObject* o) {
  if (!o || o == Py_None) return {};
  Dims dims;
  if (!is_sequence(o)) {
    dims.push_back(to_int(o));
    return dims;
  }
  for (Py_ssize_t i = 0, n = PySequence_Fast_GET_SIZE(o); i < n; ++i) dims.push_back(to_int(PySequence_Fast_GET_ITEM(o, i)));
  return dims;
}

std::string Cast<std::string>::from(PyObject* o) {
  Py_ssize_t size = 0;
  const char* text = o ? PyUnicode_AsUTF8AndSize(o, &size) : "";
  if (!text) throw PythonException();
  return std::string(text, size);
}

Activation Cast<Activation>::from(PyObject* o) {
  static constexpr const char* kNames[] = {"none", "relu", "tanh", "sigmoid", "gelu", "gelu_tanh", "silu"};
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (!PyUnicode_CompareWithASCIIString(o, kNames[i])) return static_cast<Activation>(i);
  fail<ValueError>("activation: expected one of none, relu, tanh, sigmoid, gelu, gelu_tanh, silu, got '", Cast<std::string>::from(o), "'");
}

template <class T>
static std::vector<T> list_from(PyObject* o) {
  std::vector<T> list;
  if (!o || o == Py_None) return list;
  Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
  list.reserve(n);
  for (Py_ssize_t i = 0; i < n; ++i) list.push_back(Cast<T>::from(PySequence_Fast_GET_ITEM(o, i)));
  return list;
}
std::vector<Tensor> Cast<std::vector<Tensor>>::from(PyObject* o) { return list_from<Tensor>(o); }
std::vector<int64_t> Cast<std::vector<int64_t>>::from(PyObject* o) { return list_from<int64_t>(o); }
std::vector<double> Cast<std::vector<double>>::from(PyObject* o) { return list_from<double>(o); }

PyObject* wrap_tuple(std::span<PyObject* const> items) {
  PyObject* tuple = expect(PyTuple_New(items.size()));
  for (size_t i = 0; i < items.size(); ++i) PyTuple_SET_ITEM(tuple, i, items[i]);
  return tuple;
}

PyObject* wrap(const std::vector<Tensor>& list) {
  PyObject* tuple = expect(PyTuple_New(list.size()));
  for (size_t i = 0; i < list.size(); ++i) PyTuple_SET_ITEM(tuple, i, wrap(list[i]));
  return tuple;
}

}  // namespace tessel::python
